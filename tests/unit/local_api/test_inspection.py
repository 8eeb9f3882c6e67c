"""A committee drawn again from signed records: the file of one machine verified on another, and every way to lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import Tag
from railgun_core.base.keys import Identity
from railgun_core.cli import main
from railgun_core.committee.epoch import make_clock
from railgun_core.committee.inspector import inspect
from railgun_core.committee.selection import Candidate, eligible, select_committee
from railgun_core.local_api.inspection import inspection_of, read_inspections, verify_again
from railgun_core.local_api.messages import Inspection, Inspections
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, group_of, sign_record

EPOCH_S, EPOCH, SIZE = 600, 3_000_000, 5
NOW_S = float(EPOCH * EPOCH_S)
TAG = Tag(bytes(range(32)))


def record(number: int) -> tuple[bytes, Candidate]:
    identity = Identity(number.to_bytes(32, "big"))
    host = f"127.{number}.0.1"
    body = PeerBody((Address(AddressKind.DHT, host, 4_000),), PeerRole.RELAY, "test/1", 1, 1)
    since_s = int(NOW_S) - 1_000
    signed = sign_record(identity, body, sequence=since_s * 1_000, not_before_s=since_s, expires_s=int(NOW_S) + 600)
    return signed.raw, Candidate(identity.peer_id, group_of(host, 4_000, by_port=False), since_s)


@pytest.fixture(scope="module")
def claim() -> Inspection:
    """Twenty relays; those of the committee first, as a node saves them."""
    made = [record(number) for number in range(1, 21)]
    drawn = select_committee(TAG, EPOCH, eligible((c for _, c in made), epoch_start_s=NOW_S, size=SIZE), SIZE)
    holders = [holder.peer_id for holder in (*drawn.seats, *drawn.standbys)]
    ordered = sorted(made, key=lambda one: holders.index(one[1].peer_id) if one[1].peer_id in holders else 99)
    return inspection_of(
        [raw for raw, _ in ordered],
        tag=TAG,
        epoch=EPOCH,
        epoch_s=EPOCH_S,
        size=SIZE,
        by_port=False,
        computed_unix_s=NOW_S,
        with_records=True,
    )


def test_the_engines_answer_verifies_and_says_why_each_seat_is_held(claim: Inspection) -> None:
    assert claim.verified
    assert len(claim.seats) == SIZE
    assert len(claim.standbys) == 3
    assert all(seat.why for seat in (*claim.seats, *claim.standbys))
    plain = inspect(
        claim.records, tag=TAG, epoch=EPOCH, clock=make_clock(EPOCH_S), size=SIZE, by_port=False, at_s=NOW_S
    )
    assert [seat.peer_id for seat in claim.seats] == [peer.hex() for peer in plain.committee.members]


def test_a_file_goes_to_another_machine_and_gives_the_same(claim: Inspection) -> None:
    (read,) = read_inspections(msgspec.json.encode(Inspections((claim,))))
    assert verify_again(read) == claim


def test_every_lie_in_a_file_is_found(claim: Inspection) -> None:
    change = msgspec.structs.replace
    other = Tag(bytes(32)).hex()
    broken = bytearray(claim.records[0])
    broken[40] ^= 1
    lies = [
        change(claim, seats=(claim.seats[1], claim.seats[0], *claim.seats[2:])),
        change(claim, seats=claim.seats[:-1]),
        change(claim, standbys=()),
        change(claim, records=(bytes(broken), *claim.records[1:])),
        change(claim, records=claim.records[1:]),
        change(claim, epoch=EPOCH + 1),
        change(claim, tag=other),
        change(claim, seed="00" * 32),
        change(claim, computed_unix_s=NOW_S + 10_000),
        change(claim, computed_unix_s=0.0),
    ]
    for lie in lies:
        again = verify_again(lie)
        assert not again.verified
        assert again.differences


@pytest.mark.parametrize(
    "wrong",
    [{"tag": "zz"}, {"tag": ""}, {"size": 0}, {"size": 200}, {"epoch_s": 0}, {"epoch": -1}, {"records": ()}],
    ids=str,
)
def test_what_cannot_be_a_committee_is_wrong_usage(claim: Inspection, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        verify_again(msgspec.structs.replace(claim, **wrong))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"inspections":[{}]}'])
def test_a_file_that_is_no_records_file_is_wrong_usage(data: bytes) -> None:
    with pytest.raises(UsageError):
        read_inspections(data)


def test_the_command_line_verifies_a_file_offline(
    claim: Inspection, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    later = msgspec.structs.replace(claim, epoch=EPOCH + 1)  # the records fit epoch 3,000,000 only
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(msgspec.json.encode(Inspections((claim,))))
    bad.write_bytes(msgspec.json.encode(Inspections((claim, later))))
    verb = ["inspect", "committee", "--data-dir", str(tmp_path / "nothing")]

    assert main([*verb, "--tag", TAG.hex()[:12], "--records", str(good), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["verified"] is True
    assert {"tag", "epoch", "seed", "seats", "standbys", "verified", "differences"} <= set(found)
    assert {"seat", "peer_id", "group", "rank", "why"} == set(found["seats"][0])

    assert main([*verb, "--records", str(good)]) == 0
    assert "Verified: the signed records give exactly this committee." in capfd.readouterr().out

    assert main([*verb, "--records", str(bad)]) == 1
    shown = capfd.readouterr()
    assert shown.out.count("NOT VERIFIED.") == 1
    assert shown.err == "railgun: 1 of 2 committees differ from their records.\n"
    assert main([*verb, "--records", str(bad), "--epoch", str(EPOCH)]) == 0
    assert main([*verb, "--records", str(bad), "--tag", "ff"]) == 2
    assert main([*verb, "--records", str(tmp_path / "none")]) == 2
    assert main([*verb, "--records", str(good), "--room", "x"]) == 2


def test_what_the_command_line_writes_it_can_verify(claim: Inspection) -> None:
    from railgun_core.cli.inspecting import _json_of

    (read,) = read_inspections(msgspec.json.encode(_json_of((claim,))))
    assert verify_again(read).verified
