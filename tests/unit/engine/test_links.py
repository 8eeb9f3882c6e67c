"""Links by number: the node hears of a link first, then of its frames, then of its end, in whatever order they came."""

from __future__ import annotations

from collections.abc import Sequence

from railgun_core.base.ids import Group, LinkId, PublicKey
from railgun_core.engine.links import LinkTable, group_of_link
from railgun_core.transport.link import CloseReason
from railgun_core.wire.frames import FrameBatch, Ping
from tests.unit.relay.desk import batch_of, envelope


class StillLink:
    """A link that does nothing."""

    remote_key = PublicKey(b"k" * 32)
    inbound = True
    binding = b"b" * 32
    transport = "tls"
    remote_host = "127.0.0.1"
    credit_bytes = 1
    bytes_sent = 10
    bytes_received = 20

    def send(self, chunks: Sequence[bytes | memoryview]) -> None: ...

    def close(self) -> None: ...


class Story:
    """What a table told its owner."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.table = LinkTable(on_frames=self._frames, on_closed=self._closed)

    def _frames(self, link: LinkId, batch: FrameBatch) -> None:
        self.told.append(("frames", link, len(batch)))

    def _closed(self, link: LinkId, reason: CloseReason) -> None:
        self.told.append(("closed", link, reason))


def test_a_link_has_the_address_group_of_its_other_side_where_that_says_something() -> None:
    link = StillLink()
    assert group_of_link(link, by_port=False) == Group(b"\x7f\x00")
    assert group_of_link(link, by_port=True) is None  # a network on one machine
    link.remote_host = "2001:db8:7:8::1"
    assert group_of_link(link, by_port=False) == Group(bytes.fromhex("20010db8"))
    link.remote_host = ""  # in memory
    assert group_of_link(link, by_port=False) is None


PING = batch_of(Ping(1).encode())


def test_frames_and_the_end_that_come_before_the_node_knows_the_link_wait_for_it() -> None:
    story, link = Story(), StillLink()
    handler = story.table.reserve()
    handler.frames(link, PING)
    handler.closed(link, CloseReason.REMOTE)
    assert story.told == []
    handler.opened(link)
    story.told.append("the node is told")
    handler.released()
    number = handler.number
    assert story.told == ["the node is told", ("frames", number, 1), ("closed", number, CloseReason.REMOTE)]
    assert len(story.table) == 0


def test_afterwards_everything_is_told_at_once() -> None:
    story, link = Story(), StillLink()
    handler = story.table.reserve()
    handler.opened(link)
    handler.released()
    handler.frames(link, PING)
    assert story.table.get(handler.number) is link
    handler.closed(link, CloseReason.LOST)
    assert story.told == [("frames", handler.number, 1), ("closed", handler.number, CloseReason.LOST)]


def test_a_dial_that_failed_leaves_nothing() -> None:
    story = Story()
    story.table.reserve()
    assert len(story.table) == 0
    assert story.table.by_transport() == {}


def test_a_link_ends_once() -> None:
    story, link = Story(), StillLink()
    handler = story.table.reserve()
    handler.opened(link)
    handler.released()
    handler.closed(link, CloseReason.LOST)
    handler.closed(link, CloseReason.LOCAL)
    assert len(story.told) == 1


def test_what_went_through_ended_links_still_counts() -> None:
    story, link = Story(), StillLink()
    for _ in range(2):
        handler = story.table.reserve()
        handler.opened(link)
        handler.released()
    assert story.table.traffic() == (20, 40)
    assert story.table.with_key(link.remote_key) == 2
    handler.closed(link, CloseReason.IDLE)
    assert story.table.traffic() == (20, 40)
    assert story.table.by_transport() == {"tls": 1}
    assert story.table.closed == {"idle": 1}


def test_the_sizes_of_envelopes_are_counted() -> None:
    story, link = Story(), StillLink()
    handler = story.table.reserve()
    handler.opened(link)
    handler.released()
    handler.frames(link, batch_of(envelope(1), Ping(1).encode(), envelope(2, size=4_096), envelope(3)))
    assert story.table.sizes == {256: 2, 4_096: 1}
