"""B15: making a relay keep what nobody pays for, because a slice of a read keeps all of that read.

A small envelope is taken from each read, and most of the read is refused, held already or not finished. What the relay
then keeps, in its spool and in what waits to be sent, has to stay near what it accounts for.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from railgun_core.events import Send
from railgun_core.relay.duty import RelayLimits
from railgun_core.wire.frames import FrameSplitter, Slice
from tests.unit.relay.desk import Desk, Wire, envelope

READS = 100
LARGE = 65_536
LIMITS = RelayLimits(rate_per_s=10**6, burst=10**6)
# Names, tuples and counts: a bounded sum for each envelope, beside its bytes.
BESIDE_BYTES = 2_000
EXPIRED = envelope(10**9, size=LARGE, expiry_s=1) * 2
UNFINISHED = envelope(10**9, size=LARGE)[:-1]


@pytest.fixture
def grown() -> Iterator[Callable[[], int]]:
    """How many bytes of memory are held that were not there when the test began."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()


def read(desk: Desk, wire: Wire, data: bytes) -> None:
    """One read, as a transport hands it on: a new object."""
    batch = FrameSplitter().feed(bytes(bytearray(data)))
    assert batch is not None
    desk.relay.frames(wire.link, batch, desk.now, desk.out)


@pytest.mark.parametrize("beside", [EXPIRED, UNFINISHED])
def test_a_spool_keeps_no_more_of_a_read_than_it_took(grown: Callable[[], int], beside: bytes) -> None:
    desk = Desk(limits=LIMITS)
    wire = desk.member(Slice.QUIET)
    for n in range(READS):
        read(desk, wire, envelope(n) + beside)
        desk.out.clear()
    assert desk.duty.spool.position == READS
    assert grown() < 2 * desk.duty.spool.held_bytes + READS * BESIDE_BYTES


def test_a_spool_keeps_no_more_of_what_a_fellow_sends_than_it_took(grown: Callable[[], int]) -> None:
    desk = Desk(limits=LIMITS)
    desk.member(Slice.QUIET)
    fellow = desk.fellow(0)
    known = envelope(10**9, size=LARGE)
    fellow.say(known)
    for n in range(READS):
        read(desk, fellow, envelope(n) + known)
        desk.out.clear()
    assert desk.duty.spool.position == READS + 1
    assert grown() < 2 * desk.duty.spool.held_bytes + READS * BESIDE_BYTES


def test_other_bytes_under_a_known_name_keep_no_more_of_a_read_than_themselves(grown: Callable[[], int]) -> None:
    desk = Desk(limits=LIMITS)
    wire = desk.member(Slice.QUIET)
    plain = envelope(1)
    for n in range(READS):
        read(desk, wire, plain[:-2] + n.to_bytes(2, "big") + EXPIRED)
        desk.out.clear()
    assert desk.duty.spool.position == READS
    assert grown() < 2 * desk.duty.spool.held_bytes + READS * BESIDE_BYTES


def test_what_waits_to_be_pushed_and_replicated_keeps_no_more_of_a_read_than_itself(grown: Callable[[], int]) -> None:
    desk = Desk(limits=LIMITS)
    wire = desk.member(Slice.QUIET)
    desk.member(Slice.PUSH), desk.fellow(0)
    desk.out.clear()
    for n in range(READS):
        read(desk, wire, envelope(n) + EXPIRED)
    waiting_bytes = sum(sum(map(len, effect.chunks)) for effect in desk.out if isinstance(effect, Send))
    assert waiting_bytes > 2 * READS * len(envelope(0))
    assert grown() < 2 * (desk.duty.spool.held_bytes + waiting_bytes) + READS * BESIDE_BYTES


def test_a_read_that_is_taken_for_the_most_part_is_not_copied() -> None:
    desk = Desk(limits=LIMITS)
    wire = desk.member(Slice.QUIET)
    data = envelope(1) + envelope(2) + envelope(3, expiry_s=1)
    batch = FrameSplitter().feed(data)
    assert batch is not None
    desk.relay.frames(wire.link, batch, desk.now, desk.out)
    assert {id(held[0]) for held in desk.duty.spool.frames.values()} == {id(data)}
