"""A central server without a network: the same service for the simulator and for tests of rooms.

It holds what it kept for as long as the real one does, numbers messages across all tags, and can be switched off,
switched on and emptied. `later` decides when an answer comes: at once on an event loop, after a delay in the
simulator. The contract suite runs against this and against the real server.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from railgun_core.base.ids import Tag
from railgun_core.central.port import (
    BATCH_BYTES,
    BATCH_FRAMES,
    MAX_AGE_S,
    MAX_OPEN_KEEPS,
    OnBrought,
    OnKept,
    OnState,
    Why,
    is_envelope_frame,
)

Later = Callable[[Callable[[], None]], None]


@dataclass(slots=True)
class MemoryServer:
    """What all clients share. `unix_s`: the time, for the age limit; `capacity`: messages it keeps, 0 for no limit."""

    unix_s: Callable[[], float]
    capacity: int = 0
    up: bool = True
    messages: dict[int, tuple[Tag, bytes, float]] = field(default_factory=dict, repr=False)
    last: int = 0
    by_tag: dict[Tag, list[int]] = field(default_factory=dict, repr=False)
    clients: list[MemoryCentral] = field(default_factory=list, repr=False)

    def go_down(self) -> None:
        """It answers nobody any more; what it kept stays."""
        self.up = False
        for client in list(self.clients):
            client.lost(Why.UNREACHABLE)

    def come_up(self) -> None:
        """It answers again, and every client that is started finds it."""
        self.up = True
        for client in list(self.clients):
            client.found()

    def lose_store(self) -> None:
        """Its disk is gone: everything kept is lost, and it counts from one again. Clients connect anew."""
        was_up = self.up
        self.go_down()
        self.messages.clear()
        self.by_tag.clear()
        self.last = 0
        if was_up:
            self.come_up()

    def put(self, tag: Tag, frame: bytes) -> str:
        """Keep a message and nudge who follows its tag. Why it is not kept, or ""."""
        self._forget_old()
        if self.capacity and len(self.messages) >= self.capacity:
            return Why.FULL
        self.last += 1
        self.messages[self.last] = (tag, frame, self.unix_s())
        self.by_tag.setdefault(tag, []).append(self.last)
        for client in self.clients:
            client.nudged(tag)
        return Why.NONE

    def after(self, tag: Tag, position: int) -> list[tuple[int, bytes]]:
        """What it holds under a tag behind a position, in order."""
        self._forget_old()
        places = self.by_tag.get(tag, [])
        return [(at, self.messages[at][1]) for at in places[bisect.bisect_right(places, position) :]]

    def knows(self, tag: Tag, position: int) -> bool:
        """Whether a position can have come from this store: it is too old to tell, or that message has this tag."""
        if position > self.last:
            return False
        held = self.messages.get(position)
        first = next(iter(self.messages), self.last + 1)
        return position < first or (held is not None and held[0] == tag)

    def _forget_old(self) -> None:
        oldest = self.unix_s() - MAX_AGE_S
        for at in list(itertools.takewhile(lambda at: self.messages[at][2] < oldest, self.messages)):
            tag = self.messages.pop(at)[0]
            self.by_tag[tag].remove(at)


class MemoryCentral:
    """One peer's client of a MemoryServer; a CentralPort. `open` and `close` do what start and stop do, at once."""

    def __init__(
        self, server: MemoryServer, *, later: Later, on_state: OnState, on_kept: OnKept, on_brought: OnBrought
    ) -> None:
        self._server = server
        self._later = later
        self._on_state, self._on_kept, self._on_brought = on_state, on_kept, on_brought
        self._positions: dict[Tag, int] = {}
        self._checked: set[Tag] = set()
        self._open_keeps: set[int] = set()
        self._started = False
        self._connection = 0
        self._connections = itertools.count(1)
        self._state: tuple[bool, str] = (False, Why.OFF)

    async def start(self) -> None:
        self.open()

    async def stop(self) -> None:
        self.close()

    def open(self) -> None:
        """Begin to connect."""
        if self._started:
            return
        self._started = True
        self._server.clients.append(self)
        if self._server.up:
            self.found()
        else:
            self._say(Why.UNREACHABLE)

    def close(self) -> None:
        """Let go of everything; open keeps are answered `off`."""
        if self._started:
            self._started = False
            self._server.clients.remove(self)
            self.lost(Why.OFF)

    def woke(self) -> None:
        """Make a new connection."""
        if self._started and self._connection:
            self.lost(Why.UNREACHABLE)
            if self._server.up:
                self.found()

    def keep(self, ticket: int, tag: Tag, frame: bytes) -> None:
        """Have one envelope frame kept; the answer comes `later`, after the server has it."""
        if ticket in self._open_keeps:
            return
        code = self._refusal(frame)
        self._open_keeps.add(ticket)
        connection = self._connection

        def arrive() -> None:
            if code or connection != self._connection:
                self._answer(ticket, code or Why.UNREACHABLE)
            else:
                kept = self._server.put(tag, frame)
                self._later(lambda: self._answer(ticket, kept))

        self._later(arrive)

    def follow(self, tags: Sequence[tuple[Tag, int]]) -> None:
        """Follow exactly these tags."""
        self._positions = {tag: self._positions.get(tag, position) for tag, position in tags}
        self._checked &= self._positions.keys()
        self._bring_all()

    # ------------------------------------------------------------ told by the server

    def found(self) -> None:
        """The server is there."""
        if self._started and not self._connection:
            self._connection = next(self._connections)
            self._checked.clear()
            self._say(Why.NONE)
            self._bring_all()

    def lost(self, code: str) -> None:
        """The server is gone. What it was asked to keep may be kept or not."""
        self._connection = 0
        for ticket in list(self._open_keeps):
            self._later(lambda ticket=ticket: self._answer(ticket, code))  # type: ignore[misc]
        self._say(code)

    def nudged(self, tag: Tag) -> None:
        """Something new lies under a tag."""
        if tag in self._positions:
            self._later(lambda: self._bring(tag))

    # ------------------------------------------------------------ inside

    def _refusal(self, frame: bytes) -> str:
        if not is_envelope_frame(frame):
            return Why.SIZE
        if len(self._open_keeps) >= MAX_OPEN_KEEPS:
            return Why.BUSY
        return Why.NONE if self._connection else Why.UNREACHABLE if self._started else Why.OFF

    def _answer(self, ticket: int, code: str) -> None:
        if ticket in self._open_keeps:
            self._open_keeps.discard(ticket)
            self._on_kept(ticket, code)

    def _say(self, code: str) -> None:
        state = (not code, code)
        if state != self._state:
            self._state = state
            self._on_state(*state)

    def _bring_all(self) -> None:
        for tag in self._positions:
            self._later(lambda tag=tag: self._bring(tag))  # type: ignore[misc]

    def _bring(self, tag: Tag) -> None:
        """One batch; another follows while there is more."""
        position = self._positions.get(tag)
        if position is None or not self._connection:
            return
        if tag not in self._checked:
            self._checked.add(tag)
            if position and not self._server.knows(tag, position):
                position = self._positions[tag] = 0
        batch: list[bytes] = []
        size = 0
        for at, frame in self._server.after(tag, position):
            if len(batch) == BATCH_FRAMES or size + len(frame) > BATCH_BYTES:
                self._later(lambda: self._bring(tag))
                break
            self._positions[tag] = at
            if is_envelope_frame(frame):
                batch.append(frame)
                size += len(frame)
        if batch:
            self._on_brought(tag, self._positions[tag], tuple(batch))
