"""B15: making a relay work by questions that cost nothing to ask.

A committee is drawn for a tag that is unknown, and any 32 bytes are a tag. What is counted here are draws and bytes,
not seconds. What this does not stop: many links at once can use up what all unknown tags are granted together, so that
rooms which begin just then are refused by this relay for that time; members go on to its fellows.
"""

from __future__ import annotations

import random

from railgun_core.base.ids import Tag
from railgun_core.base.keys import Identity
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.selection import Committee
from railgun_core.committee.view import RelayView
from railgun_core.relay.duty import RelayLimits
from railgun_core.rooms.epoch_keys import EpochKeys, epoch_keys
from railgun_core.wire.frames import Misdirected, Open, Opened, Refused, Role, Slice
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.posts import Post, PostAnswer, sign_post
from tests.unit.relay.desk import CLOCK, EPOCH, FELLOWS, OUTSIDER, OWN, RECORDS, SIZE, START, Desk, Wire, id_of

STRANGER = Identity(b"s" * 32)
READ_BYTES = 192 * 1024


class CountingView(RelayView):
    """A view that counts how often a committee is asked for."""

    drawn = 0

    def committee(self, tag: Tag, epoch: int, *, size: int, clock: EpochClock) -> Committee:
        self.drawn += 1
        return super().committee(tag, epoch, size=size, clock=clock)


def desk_of(own: Identity = OWN, limits: RelayLimits | None = None) -> tuple[Desk, CountingView]:
    view = CountingView(by_port=False, puzzle_bits=0)
    view.merge(RECORDS, START.unix_s)
    return Desk(own=own, view=view, limits=limits or RelayLimits()), view


def own_tags(count: int, seed: int = 0) -> list[EpochKeys]:
    """Rooms that an outsider makes up."""
    return [epoch_keys((seed * 1_000_000 + n).to_bytes(32, "big"), EPOCH) for n in range(count)]


def served_by(view: RelayView, own: Identity, keys: EpochKeys) -> bool:
    return view.committee(keys.tag, EPOCH, size=SIZE, clock=CLOCK).seat_of(own.peer_id) is not None


def post_for(keys: EpochKeys) -> Post:
    return sign_post(keys.sign, EPOCH, int(CLOCK.retire_s(EPOCH)), id_of(1), bytes(4_096))


def a_read_of(frame: bytes) -> list[bytes]:
    return [frame] * (READ_BYTES // len(frame))


def codes(wire: Wire) -> list[Refusal]:
    return [frame.code for frame in wire.control() if isinstance(frame, Refused)]


def test_a_tag_is_not_drawn_for_a_wrong_epoch_nor_for_a_wrong_signature(rng: random.Random) -> None:
    desk, view = desk_of()
    wire = desk.wire(STRANGER.public_key)
    wire.say(*(Open(Tag(rng.randbytes(32)), 1, Role.MEMBER, Slice.QUIET, b"").encode() for _ in range(50)))
    wire.say(*(Open(Tag(rng.randbytes(32)), EPOCH, Role.MEMBER, Slice.QUIET, bytes(64)).encode() for _ in range(20)))
    assert codes(wire) == [Refusal.WRONG_EPOCH] * 50 + [Refusal.BAD_SIGNATURE] * 20
    assert view.drawn == 0


def test_who_is_no_relay_here_makes_this_one_draw_nothing(rng: random.Random) -> None:
    desk, view = desk_of()
    wire = desk.wire(STRANGER.public_key)
    wire.say(*(Open(Tag(rng.randbytes(32)), EPOCH, Role.RELAY, Slice.QUIET, b"").encode() for _ in range(500)))
    assert set(codes(wire)) == {Refusal.NOT_SERVING}
    assert view.drawn == 0


def test_signatures_that_one_link_has_checked_are_bounded() -> None:
    desk, _ = desk_of()
    wire = desk.wire(STRANGER.public_key)
    wire.say(*a_read_of(wire.opening(own_tags(1)[0], tag=Tag(bytes(32)))))
    assert codes(wire).count(Refusal.BAD_SIGNATURE) == desk.limits.opens_burst
    desk.after(2.0)
    wire.say(*a_read_of(wire.opening(own_tags(1)[0], tag=Tag(bytes(32)))))
    assert codes(wire).count(Refusal.BAD_SIGNATURE) == 2 * desk.limits.opens_per_s


def test_draws_of_one_link_are_bounded_and_so_is_what_it_is_sent_for_them() -> None:
    desk, view = desk_of(own=OUTSIDER)
    wire = desk.wire(STRANGER.public_key)
    wire.say(*(wire.opening(keys) for keys in own_tags(99)))
    sent = wire.control()
    assert view.drawn == desk.limits.draws_burst
    assert sum(isinstance(frame, Misdirected) for frame in sent) <= desk.limits.draws_burst
    assert [frame.code for frame in sent if isinstance(frame, Refused)] == [Refusal.RATE] * (99 - view.drawn)
    desk.after(3.0)
    wire.say(*(wire.opening(keys) for keys in own_tags(60, seed=1)))
    assert view.drawn == desk.limits.draws_burst + 3 * desk.limits.draws_per_s


def test_draws_for_all_links_together_are_bounded_by_the_relays_looked_at() -> None:
    limits = RelayLimits(looks_per_s=2_140, looks_burst=4_280)  # 14 relays and 200 a draw: 20 draws, then 10 a second
    desk, view = desk_of(own=OUTSIDER, limits=limits)
    for n in range(8):
        wire = desk.wire(Identity(bytes((n, 9)) * 16).public_key)
        wire.say(*(wire.opening(keys) for keys in own_tags(5, seed=n)))
    assert view.drawn == 20
    desk.after(1.0)
    for n in range(8):
        wire = desk.wire(Identity(bytes((n, 9)) * 16).public_key)
        wire.say(*(wire.opening(keys) for keys in own_tags(5, seed=10 + n)))
    assert view.drawn == 30


def test_who_is_told_to_wait_is_served_after_that_time() -> None:
    desk, view = desk_of(limits=RelayLimits(draws_burst=1))
    one, two = [keys for keys in own_tags(99) if served_by(view, OWN, keys)][:2]
    wire = desk.wire(STRANGER.public_key)
    wire.say(wire.opening(one), wire.opening(two))
    opened, refused = wire.control()
    assert isinstance(opened, Opened)
    assert isinstance(refused, Refused)
    desk.after(refused.retry_after_ms / 1_000)
    wire.say(wire.opening(two))
    assert [type(frame) for frame in wire.control()] == [Opened]


def test_a_flood_of_members_takes_nothing_from_fellows_and_posts() -> None:
    desk, view = desk_of(limits=RelayLimits(looks_per_s=214, looks_burst=642))
    mine = [keys for keys in own_tags(300) if served_by(view, OWN, keys)]
    for n in range(8):
        wire = desk.wire(Identity(bytes((n, 9)) * 16).public_key)
        wire.say(wire.opening(own_tags(1, seed=n + 1)[0]))
    assert Refusal.RATE in codes(wire)
    keys = next(k for k in mine if served_by(view, FELLOWS[0], k))
    assert Opened in {type(frame) for frame in desk.relay_of(FELLOWS[0].peer_id, keys).control()}
    said: list[PostAnswer] = []
    desk.relay.posted(post_for(mine[-1]), lambda answer, now, out: said.append(answer), desk.now, desk.out)
    assert not said  # it waits for a majority


def test_posts_make_this_relay_draw_only_so_often() -> None:
    desk, view = desk_of(own=OUTSIDER, limits=RelayLimits(looks_per_s=214, looks_burst=642))
    said: list[PostAnswer] = []
    for keys in own_tags(40):
        desk.relay.posted(post_for(keys), lambda answer, now, out: said.append(answer), desk.now, desk.out)
    assert view.drawn == 3
    assert sum(answer.code is Refusal.RATE for answer in said) == 37


def test_a_fellow_that_comes_back_opens_the_sessions_of_all_common_duties_at_once() -> None:
    desk, view = desk_of()
    common = [k for k in own_tags(200) if served_by(view, OWN, k) and served_by(view, FELLOWS[0], k)]
    wire = desk.wire(FELLOWS[0].public_key)
    wire.say(*(Open(keys.tag, EPOCH, Role.RELAY, Slice.QUIET, b"").encode() for keys in common))
    assert len(common) > 20
    assert sum(isinstance(frame, Opened) for frame in wire.control()) == len(common)
