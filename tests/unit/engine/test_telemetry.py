"""From links and frames to the figures of a relay."""

from __future__ import annotations

from pathlib import Path

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import DialId, LinkId, MsgId, Tag, handle_of
from railgun_core.base.keys import Identity
from railgun_core.central.telemetry import Counts
from railgun_core.config import Config, HostPort
from railgun_core.engine.telemetry import RelayTelemetry
from railgun_core.events import Dial
from railgun_core.wire.frames import Ack, FrameBatch, FrameSplitter, Nack, Ping, envelope_frame
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.records import PeerBody, PeerRole, Record, sign_record

DAY = 20_000
NOW = Instant(10.0, DAY * 86_400.0 + 43_200)
LINK, OTHER = LinkId(7), LinkId(8)
TAG = Tag(b"t" * 32)


def record() -> Record:
    body = PeerBody((), PeerRole.RELAY, "t", 1, 1)
    return sign_record(Identity(b"\x01" * 32), body, sequence=1, not_before_s=1, expires_s=2)


RECORD = record()


def dial(*, seed: bytes | None = b"s" * 32) -> Dial:
    return Dial(DialId(1), RECORD, seed)


def envelope(number: int) -> bytes:
    name = MsgId(number.to_bytes(16, "big"))
    return envelope_frame(handle_of(TAG), expiry_s=1, msg_id=name, envelope=bytes(256))


def batch(*frames: bytes) -> FrameBatch:
    found = FrameSplitter().feed(b"".join(frames))
    assert found is not None
    return found


class Desk:
    def __init__(self, *, mode: str = "hybrid", telemetry: str = "local") -> None:
        self.config = Config(
            data_dir=Path("nowhere"), mode=mode, central=(HostPort("127.0.0.1", 1),), telemetry=telemetry
        )
        self.shared: list[bytes] = []
        self.takes = True
        self.counts = RelayTelemetry(lambda: self.config, self.share)

    async def share(self, text: bytes) -> bool:
        if self.takes:
            self.shared.append(text)
        return self.takes

    @property
    def of_relay(self) -> Counts:
        return self.counts.telemetry.days[DAY][RECORD.peer_id.hex()[:10]]


@pytest.fixture
def desk() -> Desk:
    found = Desk()
    found.counts.dialled(dial(), LINK)
    return found


def test_envelopes_answers_and_times_are_counted(desk: Desk) -> None:
    desk.counts.sent(LINK, [envelope(1) + envelope(2), envelope(3), Ping(1).encode()], NOW)
    desk.counts.received(LINK, batch(Ping(1).encode(), Ack(handle_of(TAG), 3, 2, 3, 5).encode()), NOW.after(0.15))
    counts = desk.of_relay
    assert (counts.attempts, counts.stored, counts.failures) == (3, 2, 0)
    assert sum(counts.classes) == 1
    assert counts.quantile(0.5) == 200


def test_what_a_relay_refused_is_a_failure_and_not_stored(desk: Desk) -> None:
    desk.counts.sent(LINK, [envelope(1), envelope(2)], NOW)
    nack = Nack(handle_of(TAG), Refusal.RATE, 10, (MsgId((1).to_bytes(16, "big")),))
    desk.counts.received(LINK, batch(nack.encode(), Ack(handle_of(TAG), 2, 2, 3, 5).encode()), NOW)
    assert (desk.of_relay.stored, desk.of_relay.failures) == (1, 1)


def test_what_was_not_confirmed_when_the_link_ended_is_a_failure(desk: Desk) -> None:
    desk.counts.sent(LINK, [envelope(number) for number in range(5)], NOW)
    desk.counts.received(LINK, batch(Ack(handle_of(TAG), 3, 2, 3, 5).encode()), NOW)
    desk.counts.link_closed(LINK, NOW)
    desk.counts.link_closed(LINK, NOW)
    assert (desk.of_relay.attempts, desk.of_relay.stored, desk.of_relay.failures) == (5, 2, 3)


def test_counts_that_no_relay_can_have_do_no_harm(desk: Desk) -> None:
    desk.counts.sent(LINK, [envelope(1)], NOW)
    for taken, stored in ((2**63, 2**63), (0, 0), (1, 5)):
        desk.counts.received(LINK, batch(Ack(handle_of(TAG), taken, stored, 3, 5).encode()), NOW)
    other = Ack(handle_of(Tag(b"x" * 32)), 9, 9, 3, 5).encode()
    desk.counts.received(LINK, batch(other), NOW)
    desk.counts.received(LINK, FrameBatch(other[:9], [0, 9]), NOW)
    assert (desk.of_relay.attempts, desk.of_relay.stored, desk.of_relay.failures) == (1, 1, 0)


def test_links_of_relaying_and_of_mixes_do_not_count() -> None:
    desk = Desk()
    desk.counts.dialled(dial(seed=None), OTHER)
    desk.counts.dial_failed(dial(seed=None), NOW)
    desk.counts.sent(OTHER, [envelope(1)], NOW)
    desk.counts.received(OTHER, batch(Ack(handle_of(TAG), 1, 1, 3, 5).encode()), NOW)
    desk.counts.link_closed(OTHER, NOW)
    assert desk.counts.telemetry.days == {}


def test_a_relay_that_cannot_be_reached_is_counted(desk: Desk) -> None:
    desk.counts.dial_failed(dial(), NOW)
    assert desk.of_relay.unreached == 1
    assert [row.unreached for row in desk.counts.rows(0, NOW)] == [1]
    assert desk.counts.rows(1, NOW) == ()


async def test_it_is_saved_once_a_minute_and_read_back(desk: Desk) -> None:
    desk.counts.dial_failed(dial(), NOW)
    assert await desk.counts.flush(NOW) == ()
    (put,) = await desk.counts.flush(NOW.after(60))
    assert put.value is not None
    again = Desk()
    again.counts.restore({put.name: put.value})
    assert again.counts.rows(0, NOW) == desk.counts.rows(0, NOW)


@pytest.mark.parametrize(("mode", "telemetry"), [("hybrid", "local"), ("p2p", "share"), ("full", "share")])
async def test_nothing_is_told_unless_it_is_shared_in_hybrid_mode(mode: str, telemetry: str) -> None:
    desk = Desk(mode=mode, telemetry=telemetry)
    desk.counts.dialled(dial(), LINK)
    desk.counts.dial_failed(dial(), NOW)
    await desk.counts.flush(NOW.after(86_400))
    assert desk.shared == []


async def test_yesterday_is_told_once_also_over_a_restart() -> None:
    desk = Desk(telemetry="share")
    desk.counts.dial_failed(dial(), NOW)
    await desk.counts.flush(NOW)
    assert desk.shared == []
    tomorrow = NOW.after(86_400)
    desk.takes = False
    await desk.counts.flush(tomorrow)
    desk.takes = True
    saved = await desk.counts.flush(tomorrow)
    await desk.counts.flush(tomorrow)
    assert len(desk.shared) == 1
    again = Desk(telemetry="share")
    again.counts.restore({put.name: put.value for put in saved if put.value is not None})
    await again.counts.flush(tomorrow)
    assert again.shared == []
