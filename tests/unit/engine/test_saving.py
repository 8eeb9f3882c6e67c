"""What the engine writes of the relays it knows."""

from __future__ import annotations

from railgun_core.base.keys import Identity
from railgun_core.engine.presence import own_record
from railgun_core.engine.saving import RelaysNoted
from railgun_core.wire.records import Address, AddressKind, PeerRole, Record


def record(seed: int, *, at_s: float) -> Record:
    address = Address(AddressKind.DHT, "127.0.0.1", 7000 + seed)
    return own_record(Identity(bytes([seed]) * 32), [address], PeerRole.RELAY, since_s=0.0, unix_s=at_s, epoch_s=600)


def test_a_relay_is_written_once_and_again_when_it_renews_its_record() -> None:
    noted = RelaysNoted()
    first, second = record(1, at_s=1_000.0), record(2, at_s=1_000.0)
    assert [put.peer_id for put in noted.news([first], 1_001.0)] == [first.peer_id]
    assert [put.peer_id for put in noted.news([first, second], 1_002.0)] == [second.peer_id]
    assert noted.news([first, second], 1_003.0) == ()
    renewed = record(1, at_s=1_600.0)
    (put,) = noted.news([renewed, second], 1_601.0)
    assert (put.raw, put.seen_s) == (renewed.raw, 1_601.0)


def test_a_relay_that_comes_back_is_written_again() -> None:
    noted = RelaysNoted()
    relay = record(1, at_s=1_000.0)
    noted.news([relay], 1_001.0)
    noted.news([], 1_002.0)
    assert len(noted.news([relay], 1_003.0)) == 1
