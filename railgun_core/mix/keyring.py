"""The keys that open packets: a fresh one each period, the last one kept, older ones gone for good.

A key lives two periods. When it goes, nobody can open recorded packets any more, and the replay tags under it go as
well. Keys are named by their period, floor(Unix time / period); a clock that went back by a period finds the later key
still here, one that was off by more makes new keys: a key never serves twice.
Source: protocol.md 10; Danezis and Goldberg, "Sphinx", 2009, section 3.6, on keys and replays.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import RoomId
from railgun_core.base.rng import Rng
from railgun_core.changes import Change, MixTagsDrop, SecretPut
from railgun_core.mix.sphinx import public_key
from railgun_core.mix.topology import KEY_PERIOD_S

DEVICE = RoomId(b"")
KEY_BYTES = 32
NAME = "mix/"


class MixKeyring:
    """The keys of this node's mix. `turn` makes and removes them, everything else only reads."""

    def __init__(self, *, period_s: float = KEY_PERIOD_S) -> None:
        self._keys: dict[int, bytes] = {}
        self.period_s = period_s

    def __repr__(self) -> str:
        return f"MixKeyring({len(self._keys)})"

    def restore(self, secrets: Iterable[SecretPut]) -> None:
        """Take back the keys of before a restart; other secrets, and what is no key, are left alone."""
        for secret in secrets:
            number = secret.name.removeprefix(NAME)
            named = secret.room == DEVICE and secret.name.startswith(NAME) and number.isascii() and number.isdigit()
            if named and secret.value is not None and len(secret.value) == KEY_BYTES:
                self._keys[int(number)] = secret.value

    def forget(self) -> tuple[Change, ...]:
        """Throw away all keys: what came of them is not known here. What to save."""
        gone = tuple(SecretPut(DEVICE, f"{NAME}{period}", None) for period in sorted(self._keys))
        self._keys.clear()
        return gone

    def turn(self, now: Instant, rng: Rng) -> tuple[Change, ...]:
        """Make the key of the present period and remove those out of use. What to save; empty when nothing changed."""
        current = self.period(now)
        changes: list[Change] = []
        for period in sorted(self._keys):
            if not current - 1 <= period <= current + 1:
                del self._keys[period]
                changes.append(SecretPut(DEVICE, f"{NAME}{period}", None))
        if current not in self._keys:
            key = self._keys[current] = rng.randbytes(KEY_BYTES)
            changes.append(SecretPut(DEVICE, f"{NAME}{current}", key))
        if changes:
            changes.append(MixTagsDrop(current - 1))
        return tuple(changes)

    def period(self, now: Instant) -> int:
        """The period of a moment."""
        return int(now.unix_s // self.period_s)

    def next_turn_s(self, now: Instant) -> float:
        """In how many seconds the next period begins."""
        return (self.period(now) + 1) * self.period_s - now.unix_s

    def live(self, now: Instant) -> tuple[int, ...]:
        """The periods whose keys are in use, newest first: the present one, the last, and rarely a later one."""
        current = self.period(now)
        return tuple(p for p in (current + 1, current, current - 1) if p in self._keys)

    def key(self, period: int) -> bytes:
        """The private key of a live period."""
        return self._keys[period]

    def private_keys(self, now: Instant) -> tuple[bytes, ...]:
        """The keys that may open a packet now, newest first."""
        return tuple(self._keys[period] for period in self.live(now))

    def public_key(self, now: Instant) -> bytes:
        """The public key of the present period, or the newest there is. One X25519, about 60 us."""
        current = self.period(now)
        return public_key(self._keys[current if current in self._keys else self.live(now)[0]])
