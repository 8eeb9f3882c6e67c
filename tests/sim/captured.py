"""What an observer with the room's key has on record, and what a stolen device opens of it.

The observer keeps every envelope that reached a member and, worst case, knows `room_root`: so the epoch seals are open
to it, and only the ratchets protect what is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
import vodozemac

from railgun_core.base.errors import MalformedFrame
from railgun_core.changes import StoredRoom
from railgun_core.ratchet.group import InboundGroups
from railgun_core.ratchet.sealed import Unopenable, to_text
from railgun_core.rooms.content import Content, Form, Letters, SentItem, decode_content
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.rooms.keyring import Keyring
from railgun_core.sim.network import End
from railgun_core.sim.world import World, at_once
from railgun_core.wire.codec import Reader
from railgun_core.wire.envelope import open_envelope
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, FrameSplitter
from railgun_core.wire.kinds import FrameType
from tests.sim.test_rooms_change import Club


@dataclass
class Tap:
    """Every envelope that arrived anywhere, as bytes."""

    envelopes: dict[bytes, None] = field(default_factory=dict)  # in the order of arrival

    def contents(self, roots: Iterable[bytes], epochs: Iterable[int]) -> list[Content]:
        """What opens with these roots: content as members seal it."""
        keys = [epoch_keys(root, epoch).seal for root in roots for epoch in epochs]
        found: dict[bytes, Content] = {}
        for envelope in self.envelopes:
            for seal in keys:
                try:
                    plain = open_envelope(envelope, seal)
                    found[plain] = decode_content(plain)
                except MalformedFrame:
                    continue
        return list(found.values())


def tapped(monkeypatch: pytest.MonkeyPatch) -> Tap:
    """Listen on all links of worlds from now on."""
    tap, receive = Tap(), World._receive

    def listening(self: World, end: End, data: bytes) -> None:
        batch = FrameSplitter().feed(data)
        for index in range(0 if batch is None else len(batch)):
            assert batch is not None
            start, stop = batch.bounds[index], batch.bounds[index + 1]
            if batch.data[start + 4] == FrameType.ENVELOPE:
                tap.envelopes[batch.data[start + ENVELOPE_HEADER_BYTES : stop]] = None
        receive(self, end, data)

    monkeypatch.setattr(World, "_receive", listening)
    return tap


@dataclass
class Loot:
    """Everything a thief takes from a device: the rows of its store and the objects in its memory."""

    rings: tuple[Keyring, ...]
    sent: tuple[vodozemac.InboundGroupSession, ...]  # what its own sender ratchet still gives away

    def opens(self, contents: Iterable[Content]) -> set[bytes]:
        """The bodies of items that open, letters read first."""
        contents = list(contents)
        for letters in contents:
            if isinstance(letters, Letters):
                self._read(letters)
        bodies = (self._open(sent) for sent in contents if isinstance(sent, SentItem))
        return {body[13:] for body in bodies if body is not None}

    def _read(self, letters: Letters) -> None:
        for ring in self.rings:
            fellow = ring.fellow(letters.author)
            for entry in letters.entries:
                try:
                    plain = fellow.pairwise.decrypt(
                        entry.type, entry.ciphertext, account=ring.account, identity=letters.identity, now_s=0.0
                    )
                    fellow.inbound.add(letters.number, plain[-229:])
                except (Unopenable, MalformedFrame):
                    continue

    def _open(self, sent: SentItem) -> bytes | None:
        assert sent.form is Form.GROUP
        for ring in self.rings:
            for generation in ring.fellow(sent.sender).inbound.held:
                try:
                    return ring.fellow(sent.sender).inbound.open(generation, sent.payload).plaintext
                except Unopenable:
                    continue
        for session in self.sent:
            try:
                return session.decrypt(vodozemac.MegolmMessage.from_bytes(sent.payload)).plaintext
            except ValueError:
                continue
        return None


def stolen(club: Club, number: int) -> Loot:
    """Steal the whole state of a device: a copy, so that the device goes on."""
    member = club.members[number]
    room = club.room(member)
    (stored,) = at_once(member.store.load()).rooms
    stored_ring = _ring(stored)
    memory = _ring(stored)
    for other, fellow in room.ring.fellows.items():
        memory.fellow(other).inbound = copied(fellow.inbound)
    memory.account = type(memory.account).restore(room.ring.account.dump(), memory.pickle_key)
    return Loot((stored_ring, memory), tuple(_given_away(room.ring)))


def copied(groups: InboundGroups) -> InboundGroups:
    """A copy that moves on by itself."""
    return InboundGroups.restore(Reader(groups.dump()))


def _ring(stored: StoredRoom) -> Keyring:
    return Keyring.restore(stored.room.member_seed, stored.secrets, 0.0, top_seq=0)


def _given_away(ring: Keyring) -> Iterator[vodozemac.InboundGroupSession]:
    for generation in (*ring.past, *(() if ring.own is None else (ring.own,))):
        session = generation.group._session  # a thief reads whatever is there
        yield vodozemac.InboundGroupSession(session.session_key)
        start = generation.group.start_key
        if start is not None:
            yield vodozemac.InboundGroupSession(vodozemac.SessionKey(to_text(start)))
