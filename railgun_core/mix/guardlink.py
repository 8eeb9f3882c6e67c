"""The one link to a guard: who we are on it, its life, and the list of relays that comes over it.

A fresh pseudonym and a fresh recipient id for every link, so that a guard cannot tie two of them together by more than
the address they come from. Everything on it is a packet or a cell: one size. A link ends when its rim hears nothing for
a minute, so a quiet one asks for the records after the last there is: the guard answers with one empty cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, PeerId
from railgun_core.events import Effect, Send
from railgun_core.mix.cells import RelayRecords, ask_records, register
from railgun_core.mix.cover import IDLE_AFTER_S
from railgun_core.wire.frames import Packet
from railgun_core.wire.records import Record, decode_record

BEYOND_LAST = 0xFFFF_FFFF  # no list is this long: the answer is one empty cell
ASK_AGAIN_S = 20.0
ANSWER_WITHIN_S = 5.0
SILENT_PACKETS = 10
SILENT_S = 10.0
MAX_ANSWER_CELLS = 32  # what a guard sends at once


@dataclass(slots=True, eq=False)
class GuardLink:
    """A link to a guard, dialled or open. Times are monotonic."""

    peer_id: PeerId
    dial: DialId
    recipient: bytes = field(repr=False)
    link: LinkId | None = None
    sent_s: float = 0.0
    heard_s: float = 0.0
    asked_s: float = float("-inf")
    probed_s: float | None = None
    position: int = 0  # where the next question for records starts
    unanswered: int = 0  # packets since anything was heard
    jitter: float = 1.0  # of the time to the next question
    welcome: int = 0  # cells of records that may still come for the last question

    def opened(self, link: LinkId, now: Instant, out: list[Effect]) -> None:
        """The link is there: register, and ask which relays there are."""
        self.link, self.sent_s, self.heard_s = link, now.mono_s, now.mono_s
        out.append(Send(link, (register(self.recipient).encode(),)))
        self.ask(now, out)

    def packet(self, body: bytes, now: Instant, out: list[Effect]) -> None:
        """Send a mix packet."""
        assert self.link is not None
        out.append(Send(self.link, (Packet(body).encode(),)))
        self.sent_s = now.mono_s
        self.unanswered += 1

    def ask(self, now: Instant, out: list[Effect]) -> None:
        """Ask for relay records, from where the last answer ended."""
        self.asked_s, self.welcome = now.mono_s, MAX_ANSWER_CELLS
        self._question(self.position, now, out)

    def may_ask(self, now: Instant, every_s: float) -> bool:
        """Whether the last question is `every_s` ago, and never less than ASK_AGAIN_S."""
        return now.mono_s - self.asked_s >= max(every_s, ASK_AGAIN_S)

    def heard(self, now: Instant) -> None:
        """Anything came."""
        self.heard_s, self.unanswered, self.probed_s = now.mono_s, 0, None

    def records(self, data: bytes, known: set[bytes]) -> tuple[Record, ...]:
        """The new relay records of an answer; bad ones are left out, and everything that was not asked for."""
        answer = RelayRecords.decode(data)
        if not self.welcome or not answer.raws:
            return ()
        self.welcome -= 1
        self.position = answer.following
        found = []
        for raw in answer.raws:
            try:
                found += [] if raw in known else [decode_record(raw)]
            except MalformedFrame:
                continue
        return tuple(found)

    def check(self, now: Instant, out: list[Effect]) -> bool:
        """Keep the link alive and find out whether it is; False when its guard gives no answer any more.

        Packets that do not come back may be a mix's fault. An unanswered question is the guard's.
        """
        if self.probed_s is not None:
            return now.mono_s - self.probed_s < ANSWER_WITHIN_S
        silent = self.unanswered >= SILENT_PACKETS and now.mono_s - self.heard_s >= SILENT_S
        if silent or now.mono_s - max(self.sent_s, self.heard_s) >= IDLE_AFTER_S:
            self.probed_s = now.mono_s
            self._question(BEYOND_LAST, now, out)
        return True

    def next_s(self) -> float:
        """When to check again."""
        if self.probed_s is not None:
            return self.probed_s + ANSWER_WITHIN_S
        idle_s = max(self.sent_s, self.heard_s) + IDLE_AFTER_S
        return min(idle_s, self.heard_s + SILENT_S) if self.unanswered >= SILENT_PACKETS else idle_s

    def _question(self, position: int, now: Instant, out: list[Effect]) -> None:
        assert self.link is not None
        self.sent_s = now.mono_s
        out.append(Send(self.link, (ask_records(position).encode(),)))
