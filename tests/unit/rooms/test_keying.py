"""When a generation begins, who is given it, and what is saved before anything leaves."""

from __future__ import annotations

from railgun_core.changes import Membership
from railgun_core.ratchet.group import InboundGroups
from railgun_core.rooms.content import Entry, Kind, Letters, SentItem
from railgun_core.rooms.keying import RENEW_AFTER_ITEMS, RENEW_AFTER_S
from railgun_core.rooms.keyring import bound
from railgun_core.wire.frames import Slice
from tests.unit.rooms.table import ANN, BOB, Other, ScriptedRelay, Table, met, seated


def generations(table: Table) -> list[int]:
    """Of the items published, in order, each once."""
    found = [c.generation for r in table.relays for _, c in r.published if isinstance(c, SentItem)]
    return sorted(set(found))


def given(table: Table, relay: ScriptedRelay, other: Other) -> InboundGroups:
    """What a member reads of the letters to it."""
    groups = InboundGroups()
    for letters in relay.letters():
        for entry in letters.entries:
            if entry.member == other.name:
                fellow = other.ring.fellow(table.room.me)
                plain = fellow.pairwise.decrypt(
                    entry.type, entry.ciphertext, account=other.ring.account, identity=letters.identity, now_s=0.0
                )
                reader = bound(plain, "keys", table.room.me, other.name)
                groups.add(reader.u32(), reader.rest())
    return groups


def test_keys_leave_before_the_first_item_and_are_saved_before_they_leave() -> None:
    table = seated()
    ann = met(table)
    table.saves = False
    relay = table.relay(Slice.PUSH)
    mark = len(relay.published)
    table.submit(b"words")
    assert len(relay.published) == mark
    table.commit()
    kinds = [type(content) for _, content in relay.published[mark:]]
    assert kinds == [Letters, SentItem]
    (item,) = [content for _, content in relay.published if isinstance(content, SentItem)]
    opened = given(table, relay, ann).open(item.generation, item.payload)
    assert opened.plaintext.endswith(b"words")


def test_an_item_is_encrypted_once_a_generation_whatever_relays_do() -> None:
    table = seated()
    met(table)
    table.submit(b"words")
    table.after(1.5)
    copies = {c.payload for r in table.relays for _, c in r.published if isinstance(c, SentItem)}
    assert sum(relay.items() == [1] for relay in table.relays) >= 2
    assert len(copies) == 1


def test_a_generation_ends_with_100_items_a_day_a_newcomer_a_farewell_and_a_restart() -> None:
    table = seated()
    met(table)
    relay = table.relay(Slice.PUSH)
    table.submit(*(b"%d" % n for n in range(RENEW_AFTER_ITEMS)))
    assert len(generations(table)) == 1
    table.submit(b"one more")
    assert len(generations(table)) == 2
    bob = met(table, BOB)
    table.submit(b"with bob")
    assert len(generations(table)) == 3
    relay.push(bob.sync(mood=2))  # type: ignore[arg-type]
    table.submit(b"without bob")
    assert len(generations(table)) == 4
    own = table.room.ring.own
    assert own is not None
    own.since_s -= RENEW_AFTER_S
    table.submit(b"a day later")
    assert len(generations(table)) == 5
    before = generations(table)
    again = table.restarted()
    again.submit(b"after the restart")
    assert min(generations(again)) > max(before)


def test_who_says_that_it_lacks_the_keys_is_given_them_again_ever_more_rarely() -> None:
    table = seated()
    ann = met(table)
    table.submit(b"words")
    relay = table.relay(Slice.PUSH)
    first = len(relay.letters())
    for _ in range(40):
        table.after(1.0)
        relay.push(ann.sync(Entry(table.room.me, Membership.ACTIVE, 0)))
    again = len(relay.letters()) - first
    assert 3 <= again <= 6
    relay.push(ann.has(table, 1))
    table.after(30.0)
    assert len(relay.letters()) == first + again


def test_the_start_key_is_forgotten_when_everybody_has_it() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    table.submit(b"words")
    own = table.room.ring.own
    assert own is not None
    relay = table.relay(Slice.PUSH)
    relay.push(ann.has(table, 1))
    assert own.group.start_key is not None
    relay.push(bob.has(table, 1))
    assert own.group.start_key is None


def test_who_lacks_keys_that_were_forgotten_brings_a_new_generation() -> None:
    table = seated()
    ann = met(table)
    table.submit(b"words")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    relay.push(ann.has(table, 1))
    before = generations(table)
    relay.push(ann.sync(Entry(table.room.me, Membership.ACTIVE, 1)))
    table.submit(b"more")
    assert len(generations(table)) == len(before) + 1
    assert ANN in table.room.ring.fellows


def test_a_newcomer_is_given_nothing_that_was_encrypted_before_it_came() -> None:
    table = seated()
    ann = met(table)
    table.submit(b"before")
    relay = table.relay(Slice.PUSH)
    bob = met(table, BOB)
    table.submit(b"after")
    (early, late) = generations(table)
    held = given(table, relay, bob)
    assert held.held == [late]
    assert given(table, relay, ann).held == [early, late]
    assert all(letters.kind is Kind.KEYS for letters in relay.letters())
