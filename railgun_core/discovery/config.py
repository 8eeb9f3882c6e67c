"""What a DHT node may be told: sizes, limits, and the switches for networks on one machine.

Defaults are those of protocol.md section 2; anything marked "guess" has no measurement behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtConfig:
    """Settings of one `Dht`. Off-switches for limits exist for LAN mode and single-address loopback only."""

    k: int = 16
    alpha: int = 2  # questions in flight per path; measured: 4 costs a third more questions and saves 20 ms
    paths: int = 4
    announcement_paths: int = 8
    groups_per_target: int = 16  # the window of a seat
    groups_spare: int = 9  # seats and standbys before it, at most: each may take a group out of the window

    records_per_key: int = 8
    records_per_group: int = 64
    records_total: int = 50_000

    net_limits: bool = True
    contacts_per_net_in_bucket: int = 2
    contacts_per_net_in_table: int = 10

    group_by_port: bool = False
    puzzle_bits: int = 14
    extra_delay_s: float = 0.0  # added to each datagram sent, for benches

    lookup_deadline_s: float = 4.0  # guess: ten times the slowest first timeout
    young_cache_s: float = 2.0  # how long a view of the groups holds while the network changes
    settled_cache_s: float = 30.0
    mailboxes_cache_s: float = 300.0  # the lists of mailboxes: who serves is drawn for a day
    keepalive_s: float = 60.0  # a contact silent for this long is pinged
    refresh_s: float = 900.0  # a lookup of a random id this often

    quiet: bool = False  # answer nobody, ask the given entries only, and only when relays are wanted (entries.py)
    state_path: Path | None = None
