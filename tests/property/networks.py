"""Signed records of made-up relays, each at a loopback address of an address group of its own choice."""

from __future__ import annotations

import random
from collections.abc import Iterable

from railgun_core.base.keys import Identity
from railgun_core.committee.view import RelayView
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record

NOW_S = 1_800_000_300


def relay_record(
    identity: Identity,
    group: int,
    *,
    roles: PeerRole = PeerRole.RELAY,
    since_s: int = NOW_S - 50_000,
    signed_s: float = NOW_S - 60,
    expires_s: int = NOW_S + 3_000,
) -> Record:
    """One relay's record; `group` picks its /16."""
    host = f"127.{group % 256}.{group // 256}.1" if group < 256 else f"10.{group - 256}.0.1"
    body = PeerBody((Address(AddressKind.DHT, host, 4_100),), roles, "0.1.0", 1, 1)
    return sign_record(identity, body, sequence=int(signed_s * 1000), not_before_s=since_s, expires_s=expires_s)


def relay_records(relays: int, groups: int, rng: random.Random) -> list[Record]:
    """Records of as many relays, spread evenly over at most 512 groups."""
    return [relay_record(Identity(rng.randbytes(32)), n % groups) for n in range(relays)]


def view_of(records: Iterable[Record]) -> RelayView:
    """A view that has heard of these records."""
    view = RelayView(by_port=False, puzzle_bits=0)
    view.merge(records, NOW_S)
    return view
