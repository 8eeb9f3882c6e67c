"""Signed records: strict decoding, exact bytes, lifetimes, address groups."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.ids import PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.wire.codec import Reader
from railgun_core.wire.records import (
    CLOCK_SLACK_S,
    MAX_LIFETIME_S,
    MAX_RECORD_BYTES,
    Address,
    AddressKind,
    AnnouncementBody,
    PeerBody,
    PeerRole,
    Record,
    RecordKind,
    decode_record,
    group_of,
    sign_record,
)
from tests.property.mutants import every_prefix
from tests.property.samples import ANNOUNCEMENTS, PEER_BODIES, U64, record_samples
from tests.unit.vectors.reading import some_bytes, vectors

ME = Identity(b"\x01" * 32)
VECTORS = {vector["kind"]: vector for vector in vectors("records")}
GOLDEN: dict[int, PeerBody | AnnouncementBody] = {
    RecordKind.PEER: PeerBody(
        (Address(AddressKind.QUIC, "127.1.2.3", 4_101),),
        PeerRole.RELAY | PeerRole.INTRODUCER,
        "0.1.0",
        1,
        1,
        (PeerId(some_bytes("introducer")),),
        some_bytes("mix key"),
        b"",
        b"abc",
        425,
    ),
    RecordKind.ANNOUNCEMENT: AnnouncementBody(
        Tag(some_bytes("a tag")), 3_000_000, 4, 17, tuple(PeerId(some_bytes(f"relay {n}")) for n in range(2))
    ),
}


def signed_by_hand(payload: bytes) -> bytes:
    """Any payload of one's own, signed as a record is: what an attacker can always make."""
    return payload + ME.sign("record", payload)


@pytest.mark.parametrize("kind", sorted(GOLDEN))
def test_records_are_those_of_the_vectors(kind: int) -> None:
    raw, identity = bytes.fromhex(VECTORS[kind]["raw"]), Identity(bytes.fromhex(VECTORS[kind]["seed"]))
    record = decode_record(raw)
    assert record.body == GOLDEN[kind]
    assert (record.kind, record.peer_id, record.raw) == (kind, identity.peer_id, raw)
    again = sign_record(
        identity, GOLDEN[kind], sequence=1_800_000_000_500, not_before_s=1_799_990_000, expires_s=1_800_007_000
    )
    assert again == record


@given(st.one_of(PEER_BODIES, ANNOUNCEMENTS), U64, U64, U64)
def test_any_record_comes_back_as_it_was(body: PeerBody | AnnouncementBody, seq: int, since: int, end: int) -> None:
    record = sign_record(ME, body, sequence=seq, not_before_s=since, expires_s=end)
    assert decode_record(record.raw) == record
    assert len(record.raw) <= MAX_RECORD_BYTES


@pytest.mark.parametrize("record", record_samples(), ids=["smallest", "full", "announcement"])
def test_a_record_broken_off_anywhere_is_refused(record: Record) -> None:
    for prefix in every_prefix(record.raw):
        with pytest.raises(MalformedFrame):
            decode_record(prefix)


@pytest.mark.parametrize("record", record_samples(), ids=["smallest", "full", "announcement"])
def test_trailing_bytes_are_refused_even_when_they_are_signed(record: Record) -> None:
    for tail in (b"\x00", b"\xff" * 9):
        with pytest.raises(MalformedFrame):
            decode_record(record.raw + tail)
        with pytest.raises(MalformedFrame):
            decode_record(signed_by_hand(record.raw[:-64] + tail))


@pytest.mark.parametrize("record", record_samples(), ids=["smallest", "full", "announcement"])
def test_any_byte_changed_anywhere_is_refused(record: Record, rng: random.Random) -> None:
    for at in range(len(record.raw)):
        changed = bytearray(record.raw)
        changed[at] ^= rng.randrange(1, 256)
        with pytest.raises(MalformedFrame):
            decode_record(bytes(changed))


def head(kind: int, *, suite: int = 1) -> bytes:
    return bytes((suite, kind)) + ME.public_key + bytes(24)


SMALLEST = b"\x00" + b"\x00\x00" + b"\x00" + b"\x01\x01" + b"\x00" + b"\x00\x00\x00" + b"\x00\x00"
MALFORMED = {
    "another suite": head(1, suite=2) + SMALLEST,
    "an unknown kind": head(2) + SMALLEST,
    "kind zero": head(0) + SMALLEST,
    "an unknown role": head(1) + b"\x00" + b"\x00\x80" + SMALLEST[3:],
    "the highest role bit": head(1) + b"\x00" + b"\x80\x00" + SMALLEST[3:],
    "five addresses": head(1) + b"\x05" + (b"\x01\x04\x7f\x00\x00\x01\x00\x01" * 5) + SMALLEST[1:],
    "an address of five bytes": head(1) + b"\x01" + b"\x01\x05\x7f\x00\x00\x01\x02\x00\x01" + SMALLEST[1:],
    "an address of no bytes": head(1) + b"\x01" + b"\x01\x00\x00\x01" + SMALLEST[1:],
    "an unknown address kind": head(1) + b"\x01" + b"\x09\x04\x7f\x00\x00\x01\x00\x01" + SMALLEST[1:],
    "port zero": head(1) + b"\x01" + b"\x01\x04\x7f\x00\x00\x01\x00\x00" + SMALLEST[1:],
    "software of 41 bytes": head(1) + b"\x00\x00\x00" + b"\x29" + b"a" * 41 + SMALLEST[4:],
    "software beyond ASCII": head(1) + b"\x00\x00\x00" + b"\x02" + "é".encode() + SMALLEST[4:],
    "software with an escape character": head(1) + b"\x00\x00\x00" + b"\x02\x1b[" + SMALLEST[4:],
    "a protocol range backwards": head(1) + b"\x00\x00\x00\x00" + b"\x02\x01" + SMALLEST[6:],
    "four introducers": head(1) + SMALLEST[:6] + b"\x04" + bytes(128) + b"\x00\x00\x00\x00\x00",
    "a mix key of 31 bytes": head(1) + SMALLEST[:7] + b"\x1f" + bytes(31) + bytes(4),
    "a token key of 33 bytes": head(1) + SMALLEST[:8] + b"\x21" + bytes(33) + bytes(3),
    "a proof of 201 bytes": head(1) + SMALLEST[:9] + b"\xc9" + bytes(203),
    "a roster of eleven": head(4) + bytes(32 + 8 + 1 + 2) + b"\x0b" + bytes(11 * 32),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_signed_record_with_bad_fields_is_refused(what: str) -> None:
    assert decode_record(signed_by_hand(head(1) + SMALLEST)).body == PeerBody((), PeerRole(0), "", 1, 1)
    with pytest.raises(MalformedFrame):
        decode_record(signed_by_hand(MALFORMED[what]))


@pytest.mark.parametrize("since", [b"", *(n.to_bytes(8, "big") for n in (1, 89))])
def test_since_when_a_peer_served_before_its_start_is_said_once_and_only_if_it_did(since: bytes) -> None:
    def said(tail: bytes) -> bytes:
        times = b"".join(n.to_bytes(8, "big") for n in (100_000, 90, 200))
        return signed_by_hand(b"\x01\x01" + ME.public_key + times + SMALLEST + tail)

    record = decode_record(said(since))
    assert record.serves_since_s == (int.from_bytes(since, "big") or 90)
    assert isinstance(record.body, PeerBody)
    assert sign_record(ME, record.body, sequence=100_000, not_before_s=90, expires_s=200) == record
    for tail in (bytes(8), (90).to_bytes(8, "big"), (91).to_bytes(8, "big"), since + b"\x00", b"\x01" * 7):
        with pytest.raises(MalformedFrame):
            decode_record(said(tail))


def test_a_record_that_would_be_too_large_is_not_signed() -> None:
    roster = tuple(PeerId(bytes((n,)) * 32) for n in range(40))
    with pytest.raises(UsageError):
        sign_record(ME, AnnouncementBody(Tag(bytes(32)), 1, 0, 0, roster), sequence=1, not_before_s=0, expires_s=1)


def test_bytes_beyond_a_thousand_are_refused_unread() -> None:
    with pytest.raises(MalformedFrame):
        decode_record(bytes(MAX_RECORD_BYTES + 1))


# ---------------------------------------------------------------- lifetimes

SIGNED_S = 1_800_000_000


def living(*, signed_s: int = SIGNED_S, since_s: int = SIGNED_S - 50, expires_s: int = SIGNED_S + 600) -> Record:
    body = PeerBody((), PeerRole.RELAY, "", 1, 1)
    return sign_record(ME, body, sequence=signed_s * 1000, not_before_s=since_s, expires_s=expires_s)


def test_a_record_lives_from_its_signing_to_its_end_give_or_take_the_slack() -> None:
    record = living()
    assert record.is_live(SIGNED_S)
    assert record.is_live(SIGNED_S - CLOCK_SLACK_S)
    assert not record.is_live(SIGNED_S - CLOCK_SLACK_S - 1)
    assert record.is_live(SIGNED_S + 600 + CLOCK_SLACK_S - 1)
    assert not record.is_live(SIGNED_S + 600 + CLOCK_SLACK_S)


def test_a_record_may_not_be_made_to_live_longer_than_two_hours() -> None:
    assert living(expires_s=SIGNED_S + MAX_LIFETIME_S).is_live(SIGNED_S)
    assert not living(expires_s=SIGNED_S + MAX_LIFETIME_S + 1).is_live(SIGNED_S)


def test_nobody_serves_since_the_future() -> None:
    assert not living(since_s=SIGNED_S + 2).is_live(SIGNED_S)


@given(U64, U64, U64, st.floats(0, 2**40))
def test_the_lifetime_of_any_record_is_decided_without_error(seq: int, since: int, end: int, unix_s: float) -> None:
    record = dataclasses.replace(living(), sequence=seq, not_before_s=since, expires_s=end)
    if record.is_live(unix_s):
        assert unix_s < end + CLOCK_SLACK_S
        assert end - seq / 1000 <= MAX_LIFETIME_S


# ---------------------------------------------------------------- addresses and groups


def test_an_address_does_not_show_in_its_repr() -> None:
    assert "127" not in repr(Address(AddressKind.TLS, "127.0.0.1", 4_000))


@given(st.ip_addresses().map(str), st.integers(1, 65_535), st.sampled_from(AddressKind))
def test_any_address_comes_back_as_it_was(host: str, port: int, kind: AddressKind) -> None:
    address = Address(kind, host, port)
    assert Address.decode(Reader(address.encode())) == address


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("127.5.6.7", b"\x7f\x05"),
        ("10.200.1.1", b"\x0a\xc8"),
        ("2001:db8:1::1", b"\x20\x01\x0d\xb8"),
        ("::1", b"\x00\x00\x00\x00"),
    ],
)
def test_a_group_is_a_16_of_version_4_and_a_32_of_version_6(host: str, group: bytes) -> None:
    assert group_of(host, 4_000, by_port=False) == group
    assert group_of(host, 4_000, by_port=True) == group + b"\x0f\xa0"
