"""How relays perform for this device, seen from its links: what goes out on them and what comes back.

Told by the engine like the exposure ledger (ledger.py). Only links count that a room of this device opened to a relay.
Cost on the hot path: one look into a dict for all other links, a few bytes of each frame for these. Everything stays
on this device unless the option `telemetry` says share and the mode is hybrid; then the sums of yesterday go to the
central server once a day, with no name. The server still sees the address they come from.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId
from railgun_core.central.telemetry import SHARED_SETTING, Counts, RelayRow, Telemetry
from railgun_core.changes import SettingPut
from railgun_core.config import Config
from railgun_core.events import Dial
from railgun_core.wire.frames import Ack, FrameBatch, Nack, decode_control
from railgun_core.wire.kinds import LENGTH, FrameType

_TYPE_AT: Final = 4
_HANDLE: Final = slice(5, 13)
DAY_S: Final = 86_400
SAVE_EVERY_S: Final = 60.0
WAITING: Final = 10_000  # envelopes of a session whose time of sending is remembered


@dataclass(slots=True, eq=False)
class _Session:
    """One tag on one link. Counts mirror the relay's, as in rooms/session.py."""

    untaken: deque[float] = field(default_factory=deque)  # when each was sent, monotonic seconds
    unstored: int = 0
    refused: int = 0
    taken: int = 0
    stored: int = 0

    @property
    def open(self) -> int:
        return max(0, len(self.untaken) + self.unstored - self.refused)


@dataclass(slots=True, eq=False)
class _Watched:
    """A link that a room opened to a relay."""

    relay: str
    sessions: dict[bytes, _Session] = field(default_factory=dict)


class RelayTelemetry:
    """Counts for one engine. `share` gives a line to the central server and says whether it has it."""

    def __init__(self, config: Callable[[], Config], share: Callable[[bytes], Awaitable[bool]]) -> None:
        self._config = config
        self._share = share
        self._links: dict[LinkId, _Watched] = {}
        self._saved_s = 0.0
        self.telemetry = Telemetry()

    def restore(self, settings: Mapping[str, str]) -> None:
        """Go on from what was saved. Call it once, before anything is counted."""
        self.telemetry.restore(settings)

    # ------------------------------------------------------------ what happens

    def dialled(self, effect: Dial, number: LinkId) -> None:
        """A Dial brought this link."""
        if effect.seed is not None:
            self._links[number] = _Watched(_name(effect))

    def dial_failed(self, effect: Dial, now: Instant) -> None:
        """A Dial brought none."""
        if effect.seed is not None:
            self._counts(_name(effect), now).unreached += 1

    def sent(self, number: LinkId, chunks: Sequence[bytes | memoryview], now: Instant) -> None:
        """Frames were queued on a link; any link may be named."""
        watched = self._links.get(number)
        if watched is None:
            return
        counts = None
        for handle in _envelopes(chunks):
            counts = counts or self._counts(watched.relay, now)
            session = watched.sessions.setdefault(handle, _Session())
            counts.attempts += 1
            if len(session.untaken) < WAITING:
                session.untaken.append(now.mono_s)

    def received(self, number: LinkId, batch: FrameBatch, now: Instant) -> None:
        """Frames came on a link; any link may be named."""
        watched = self._links.get(number)
        if watched is None:
            return
        data, bounds = batch.data, batch.bounds
        for start, end in itertools.pairwise(bounds):
            if data[start + _TYPE_AT] in (FrameType.ACK, FrameType.NACK):
                try:
                    answer = decode_control(data, start, end)
                except MalformedFrame:
                    continue  # the node says what happens to that link
                if isinstance(answer, Ack | Nack) and answer.handle in watched.sessions:
                    self._answered(watched, watched.sessions[answer.handle], answer, now)

    def link_closed(self, number: LinkId, now: Instant) -> None:
        """A link has ended; any link may be named. What it did not confirm went, or goes, another way."""
        watched = self._links.pop(number, None)
        lost = sum(session.open for session in watched.sessions.values()) if watched is not None else 0
        if watched is not None and lost:
            self._counts(watched.relay, now).failures += lost

    # ------------------------------------------------------------ saving and showing

    async def flush(self, now: Instant) -> tuple[SettingPut, ...]:
        """What to save now, and once a day telling the server if the person wants that. Bounded."""
        told = await self._tell_server(now)
        if now.mono_s < self._saved_s + SAVE_EVERY_S and not told:
            return ()
        return (*told, *self.changed(now))

    def changed(self, now: Instant) -> tuple[SettingPut, ...]:
        """What to save; also before the store is closed."""
        self._saved_s = now.mono_s
        return tuple(SettingPut(name, text) for name, text in self.telemetry.changes(_day(now)).items())

    def rows(self, days_ago: int, now: Instant) -> tuple[RelayRow, ...]:
        """A day, for people."""
        return self.telemetry.rows(_day(now) - days_ago)

    async def _tell_server(self, now: Instant) -> tuple[SettingPut, ...]:
        config, yesterday = self._config(), _day(now) - 1
        if config.telemetry != "share" or config.mode != "hybrid" or self.telemetry.shared_day >= yesterday:
            return ()
        text = self.telemetry.shared(yesterday)
        if text is None or not await self._share(text):
            return ()
        self.telemetry.shared_day = yesterday
        return (SettingPut(SHARED_SETTING, str(yesterday)),)

    # ------------------------------------------------------------ inside

    def _answered(self, watched: _Watched, session: _Session, answer: Ack | Nack, now: Instant) -> None:
        counts = self._counts(watched.relay, now)
        if isinstance(answer, Nack):
            session.refused += len(answer.ids)
            counts.failures += len(answer.ids)
            return
        taken = max(0, min(answer.taken - session.taken, len(session.untaken)))
        for left in range(taken, 0, -1):
            sent_s = session.untaken.popleft()
            if left == 1:  # the newest: the others waited for this answer too
                counts.took((now.mono_s - sent_s) * 1_000)
        session.taken += taken
        session.unstored += taken
        stored = max(0, min(answer.stored - session.stored, session.unstored))
        session.stored += stored
        session.unstored -= stored
        refused = min(session.refused, stored)  # a relay counts what it refused as well
        session.refused -= refused
        counts.stored += stored - refused

    def _counts(self, relay: str, now: Instant) -> Counts:
        return self.telemetry.of(relay, _day(now))


def _envelopes(chunks: Sequence[bytes | memoryview]) -> Iterator[bytes]:
    """The tag's handle of each envelope frame."""
    for chunk in chunks:
        at = 0
        while at + _HANDLE.stop <= len(chunk):
            if chunk[at + _TYPE_AT] == FrameType.ENVELOPE:
                yield bytes(chunk[at + _HANDLE.start : at + _HANDLE.stop])
            at += LENGTH.size + LENGTH.unpack_from(chunk, at)[0]


def _name(effect: Dial) -> str:
    return effect.record.peer_id.hex()[:10]


def _day(now: Instant) -> int:
    return int(now.unix_s // DAY_S)
