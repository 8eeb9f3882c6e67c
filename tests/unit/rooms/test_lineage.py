"""Which root follows which: one chain for all, whatever the order in which they hear of it."""

from __future__ import annotations

import itertools
import random

from railgun_core.base.ids import MemberId, RoomId
from railgun_core.rooms.lineage import Former, Lineage, root_hash

ROOM = RoomId(bytes(16))
ANN, BOB, EVE = (MemberId(name * 8) for name in (b"a", b"b", b"e"))


def test_all_who_hear_of_successors_in_any_order_end_with_the_same_root(rng: random.Random) -> None:
    first = rng.randbytes(32)
    children = [rng.randbytes(32) for _ in range(4)]
    ends = set()
    for order in itertools.permutations(children):
        lineage = Lineage.of(first)
        for child in order:
            if lineage.takes(root_hash(first), root_hash(child)):
                lineage.follow(root_hash(first), root_hash(child), EVE)
        ends.add(lineage.chain[-1])
    assert ends == {min(map(root_hash, children))}


def test_a_fork_brings_back_whom_the_lost_side_removed_and_names_ones_own_removals() -> None:
    lineage = Lineage.of(b"0")
    start, high, low = lineage.chain[0], b"\xff" * 32, b"\x00" * 32
    lineage.mine[high] = ANN
    assert lineage.follow(start, high, ANN) == []
    assert lineage.takes(start, low)
    assert not lineage.takes(start, high)
    back = lineage.follow(start, low, BOB)
    assert back == [ANN]
    assert lineage.again(back) == [ANN]
    assert lineage.removed == {BOB: low}
    assert not lineage.takes(start, high)


def test_who_was_removed_may_only_have_removed_before() -> None:
    lineage = Lineage.of(b"0")
    start, one = lineage.chain[0], b"\x11" * 32
    lineage.follow(start, one, EVE)
    assert lineage.may_remove(EVE, start)
    assert not lineage.may_remove(EVE, one)
    assert lineage.may_remove(ANN, one)


def test_a_lineage_comes_back_after_a_restart_and_a_damaged_one_begins_anew(rng: random.Random) -> None:
    root, child = rng.randbytes(32), rng.randbytes(32)
    lineage = Lineage.of(root)
    lineage.follow(lineage.chain[0], root_hash(child), EVE)
    lineage.mine[root_hash(child)] = EVE
    letters = [(frozenset((ANN, BOB)), b"letter"), (frozenset((BOB,)), b"for bob")]
    lineage.formers.append(Former(root, 1_800_000_000.0, {ANN}, letters, child, EVE))
    row = lineage.put(ROOM)
    again = Lineage.restore(child, (row,))
    assert (again.chain, again.removed, again.mine) == (lineage.chain, lineage.removed, lineage.mine)
    (former,) = again.formers
    assert (former.root, former.until_s, former.awaited, former.successor, former.gone) == (
        root,
        1_800_000_000.0,
        {ANN},
        child,
        EVE,
    )
    assert former.letters == letters[:1], "letters that nobody waits for are not kept"
    assert row.value is not None
    damaged = type(row)(ROOM, "lineage", row.value[:-1])
    assert Lineage.restore(child, (damaged,)).chain == [root_hash(child)]
