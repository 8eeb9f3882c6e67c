"""Sender keys: a member encrypts each item once, for everybody who was given its ratchet.

A member's items come in generations. Each begins with a fresh ratchet whose start key is handed to the members of
that moment; the ratchet only turns forward, so who has it can read on and not back. The own ratchet is never stored:
after a restart a new generation begins, and no key is used twice, whatever backup was restored. A receiver moves its
copy forward once items are safe, so that what it keeps no longer opens what it has read.
Source: the Megolm specification.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import vodozemac

from railgun_core.base.errors import MalformedFrame
from railgun_core.ratchet.sealed import Unopenable, Why, to_raw, to_text
from railgun_core.wire.codec import Reader, array8, blob16, u32

MAX_GENERATIONS = 64  # held of one member: more than it can send in an epoch at full rate


class OutboundGroup:
    """The own ratchet of one generation. About 0.1 ms an item of 4 KiB."""

    __slots__ = ("_session", "_start")

    def __init__(self) -> None:
        self._session = vodozemac.GroupSession()
        self._start: bytes | None = to_raw(self._session.session_key.to_base64())

    @property
    def start_key(self) -> bytes | None:
        """What opens this generation from its first item on; None once forgotten."""
        return self._start

    @property
    def used(self) -> int:
        """How many items it has encrypted."""
        return self._session.message_index

    def encrypt(self, plaintext: bytes) -> bytes:
        """The next ciphertext; the key it used is gone afterwards."""
        return bytes(self._session.encrypt(plaintext).to_bytes())

    def forget_start(self) -> None:
        """Everybody has it: from now on this device cannot read its own past items back."""
        self._start = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A plaintext, and its place in its generation."""

    plaintext: bytes = field(repr=False)
    index: int


class InboundGroups:
    """What this device can open of one other member: its generations, each from some index on."""

    __slots__ = ("_floor", "_groups")

    def __init__(self) -> None:
        self._groups: dict[int, vodozemac.InboundGroupSession] = {}
        self._floor = 0  # generations up to this one were dropped and never come back

    @property
    def newest(self) -> int:
        """The newest generation held or dropped; 0 for none."""
        return max(self._groups, default=self._floor)

    @property
    def held(self) -> list[int]:
        """The generations held, oldest first."""
        return sorted(self._groups)

    def holds(self, generation: int) -> bool:
        """Whether items of a generation can be opened, or could once."""
        return generation in self._groups or generation <= self._floor

    def add(self, generation: int, start_key: bytes) -> bool:
        """Take the start key of a generation; whether it is news. MalformedFrame when it is none."""
        if self.holds(generation):
            return False
        try:
            session = vodozemac.InboundGroupSession(vodozemac.SessionKey(to_text(start_key)))
        except ValueError:
            raise MalformedFrame("start key") from None
        self._groups[generation] = session
        while len(self._groups) > MAX_GENERATIONS:
            self.drop_through(min(self._groups))
        return True

    def open(self, generation: int, ciphertext: bytes) -> Opened:
        """Open an item. Unopenable: keys are unknown or spent, or it is not what its sender made. About 0.15 ms."""
        session = self._groups.get(generation)
        if session is None:
            raise Unopenable(Why.SPENT if generation <= self._floor else Why.UNKNOWN_KEYS)
        try:
            message = vodozemac.MegolmMessage.from_bytes(ciphertext)
            if bytes(message.to_bytes()) != ciphertext:  # the fields are signed, their encoding is not: see pairwise
                raise Unopenable(Why.FORGED)
            if message.message_index() < session.first_known_index:
                raise Unopenable(Why.SPENT)
            opened = session.decrypt(message)
        except ValueError:
            raise Unopenable(Why.FORGED) from None
        return Opened(opened.plaintext, opened.message_index)

    def forward(self, generation: int, index: int) -> None:
        """Open nothing before `index` of a generation any more."""
        session = self._groups.get(generation)
        if session is not None and index > session.first_known_index:
            key = session.export_at(index)
            assert key is not None  # it lies ahead
            self._groups[generation] = vodozemac.InboundGroupSession.import_session(key)

    def drop_through(self, generation: int) -> bool:
        """Open nothing of generations up to this one any more; whether any was held."""
        gone = [number for number in self._groups if number <= generation]
        for number in gone:
            del self._groups[number]
        self._floor = max(self._floor, generation)
        return bool(gone)

    def dump(self) -> bytes:
        """All that is held, in the clear: for a store that encrypts. 171 bytes and 10 us a generation."""
        rows = []
        for number in self.held:
            session = self._groups[number]
            key = session.export_at(session.first_known_index)
            assert key is not None
            rows.append(u32(number) + blob16(to_raw(key.to_base64())))
        return u32(self._floor) + array8(rows)

    @classmethod
    def restore(cls, reader: Reader) -> InboundGroups:
        """What `dump` gave. MalformedFrame when it is damaged."""
        found = cls()
        found._floor = reader.u32()
        for _ in range(reader.count(MAX_GENERATIONS)):
            number, raw = reader.u32(), reader.blob16()
            try:
                key = vodozemac.ExportedSessionKey(to_text(raw))
            except ValueError:
                raise MalformedFrame("group key") from None
            found._groups[number] = vodozemac.InboundGroupSession.import_session(key)
        return found
