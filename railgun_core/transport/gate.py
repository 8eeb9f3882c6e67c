"""Who may come in: half-open handshakes, links of one address, links of one key.

A full gate refuses whoever comes next; it never puts out somebody who is inside, so nobody can push others out by
coming often. One address may hold an eighth of the half-open places, so that one slow host leaves
seven eighths to the rest (threats.md, B21). What remains: a botnet of many addresses.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from railgun_core.base.ids import PublicKey
from railgun_core.transport.link import Limits

_Name = TypeVar("_Name", str, PublicKey)
HOST_SHARE = 8  # one address holds at most half_open / HOST_SHARE handshakes, and at least MIN_PER_HOST
MIN_PER_HOST = 4


class Gate:
    """Counts of one listening endpoint. Every method is O(1)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._half_open_per_host = min(limits.half_open, max(MIN_PER_HOST, limits.half_open // HOST_SHARE))
        self._half_open: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._keys: Counter[PublicKey] = Counter()

    @property
    def half_open(self) -> int:
        """Handshakes under way."""
        return self._half_open.total()

    @property
    def inside(self) -> int:
        """Handshakes and links together."""
        return self._hosts.total()

    def enter(self, host: str) -> Ticket | None:
        """A place for a handshake from `host`, or None when there is none."""
        if (
            self._half_open.total() >= self._limits.half_open
            or self._half_open[host] >= self._half_open_per_host
            or self._hosts[host] >= self._limits.per_host
        ):
            return None
        self._half_open[host] += 1
        self._hosts[host] += 1
        return Ticket(self, host)

    def _admit(self, host: str, key: PublicKey) -> bool:
        if self._keys[key] >= self._limits.per_key:
            return False
        _give_back(self._half_open, host)
        self._keys[key] += 1
        return True

    def _leave(self, host: str, key: PublicKey | None) -> None:
        _give_back(self._hosts, host)
        if key is None:
            _give_back(self._half_open, host)
        else:
            _give_back(self._keys, key)


class Ticket:
    """One place inside. Given back exactly once, whoever asks how often."""

    __slots__ = ("_gate", "_host", "_key", "_returned")

    def __init__(self, gate: Gate, host: str) -> None:
        self._gate = gate
        self._host = host
        self._key: PublicKey | None = None
        self._returned = False

    def admit(self, key: PublicKey) -> bool:
        """The handshake proved `key`: whether it may have another link. Only once."""
        if self._returned or self._key is not None or not self._gate._admit(self._host, key):
            return False
        self._key = key
        return True

    def give_back(self) -> None:
        """The handshake failed or the link ended."""
        if not self._returned:
            self._returned = True
            self._gate._leave(self._host, self._key)


def _give_back(counter: Counter[_Name], name: _Name) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
