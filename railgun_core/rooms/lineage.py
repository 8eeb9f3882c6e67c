"""The roots a room has had: the chain that members agree on, and former roots that are still listened to.

When a member is removed, those who stay go over to a new root. Who was away is told under the former one, by the
member that removed, for seven days; the others listen there until what relays hold of it has expired. Two removals at
once make two successors of one root: the one with the lower hash is the room's, and who made the other removes again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import tagged_hash, u64
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import SecretPut
from railgun_core.rooms.lane import Lane
from railgun_core.wire.codec import Reader, blob16, u16

MAX_ROOTS = 256
MAX_FORMERS = 32
MAX_LETTERS = 1_024


def root_hash(root: bytes) -> bytes:
    """What a root is called where it must not be shown."""
    return tagged_hash("root", root)


@dataclass(slots=True, eq=False)
class Former:
    """A root that the room had. `letters` tell the `awaited` members its successor; only their remover has any."""

    root: bytes = field(repr=False)
    until_s: float  # Unix
    awaited: set[MemberId] = field(default_factory=set)
    letters: list[tuple[frozenset[MemberId], bytes]] = field(default_factory=list)
    successor: bytes = field(default=b"", repr=False)
    gone: MemberId = field(default=MemberId(bytes(8)))
    lanes: dict[int, Lane] = field(default_factory=dict)
    mail: dict[int, Lane] = field(default_factory=dict)  # by day
    told: dict[MemberId, tuple[int, float]] = field(default_factory=dict)  # how often again, and when last

    def encode(self) -> bytes:
        head = self.root + u64(int(self.until_s)) + self.successor.ljust(32, b"\0") + self.gone
        awaited = sorted(self.awaited)
        rows = [
            u16(len(readers)) + b"".join(sorted(readers)) + blob16(content)
            for readers, content in self.letters
            if not readers.isdisjoint(self.awaited)
        ]
        return head + u16(len(awaited)) + b"".join(awaited) + u16(len(rows)) + b"".join(rows)

    @classmethod
    def decode(cls, reader: Reader) -> Former:
        """Raises MalformedFrame."""
        root, until_s, successor, gone = reader.take(32), reader.u64(), reader.take(32), MemberId(reader.take(8))
        awaited = {MemberId(reader.take(8)) for _ in range(reader.u16())}
        letters = []
        for _ in range(reader.u16()):
            readers = frozenset(MemberId(reader.take(8)) for _ in range(reader.u16()))
            letters.append((readers, reader.blob16()))
        return cls(root, float(until_s), awaited, letters, successor, gone)


@dataclass(slots=True, eq=False)
class Lineage:
    """`chain`: hashes of the roots from the first one known here to the present one."""

    chain: list[bytes]
    removed: dict[MemberId, bytes] = field(default_factory=dict)  # by which root it was left out
    mine: dict[bytes, MemberId] = field(default_factory=dict)  # the roots made here, and whom each left out
    formers: list[Former] = field(default_factory=list)

    @classmethod
    def of(cls, root: bytes) -> Lineage:
        """A room that has had one root, as far as is known here."""
        return cls([root_hash(root)])

    def former_of(self, lane: Lane) -> Former | None:
        """The former root that a lane belongs to; None for the present one."""
        for one in self.formers:
            if one.lanes.get(lane.epoch) is lane or one.mail.get(lane.epoch) is lane:
                return one
        return None

    def renewed(self, member: MemberId, heir: MemberId) -> bool:
        """A member goes on under another key: where it was awaited, that one is now. Whether it was anywhere."""
        former = [former for former in self.formers if member in former.awaited]
        for one in former:
            one.awaited.discard(member)
            one.awaited.add(heir)
        return bool(former)

    def takes(self, parent: bytes, child: bytes) -> bool:
        """Whether a root follows: upon the present one, or instead of a successor with a higher hash."""
        if child in self.chain or parent not in self.chain:
            return False
        at = self.chain.index(parent)
        return at == len(self.chain) - 1 or child < self.chain[at + 1]

    def may_remove(self, author: MemberId, parent: bytes) -> bool:
        """Whether a member was still in the room under a root."""
        out_by = self.removed.get(author)
        if out_by is None:
            return True
        chain = self.chain
        return out_by in chain and parent in chain and chain.index(parent) < chain.index(out_by)

    def follow(self, parent: bytes, child: bytes, gone: MemberId) -> list[MemberId]:
        """Go over to a root; the members whose removal was undone by it, those that were removed here among them."""
        at = self.chain.index(parent)
        dropped = set(self.chain[at + 1 :])
        self.chain = [*self.chain[: at + 1], child][-MAX_ROOTS:]
        back = [member for member, out_by in self.removed.items() if out_by in dropped]
        for member in back:
            del self.removed[member]
        self.removed[gone] = child
        return [member for member in back if member != gone]

    def again(self, dropped: Iterable[MemberId]) -> list[MemberId]:
        """Of the members that came back by a fork: those that were removed here, and have to be once more."""
        wanted = {member for root, member in self.mine.items() if root not in self.chain}
        self.mine = {root: member for root, member in self.mine.items() if root in self.chain}
        return [member for member in dropped if member in wanted]

    def put(self, room: RoomId) -> SecretPut:
        """The row of a room."""
        chain = b"".join(self.chain)
        removed = b"".join(member + out_by for member, out_by in self.removed.items())
        mine = b"".join(root + member for root, member in self.mine.items())
        parts = [u16(len(self.chain)) + chain, u16(len(self.removed)) + removed, u16(len(self.mine)) + mine]
        formers = [former.encode() for former in self.formers]
        return SecretPut(room, "lineage", b"".join(parts) + u16(len(formers)) + b"".join(formers))

    @classmethod
    def restore(cls, root: bytes, secrets: Iterable[SecretPut]) -> Lineage:
        """The lineage of before a restart; a fresh one when nothing was saved."""
        value = next((s.value for s in secrets if s.name == "lineage" and s.value is not None), None)
        if value is None:
            return cls.of(root)
        reader = Reader(value)
        try:
            chain = [reader.take(32) for _ in range(reader.u16())]
            removed = {MemberId(reader.take(8)): reader.take(32) for _ in range(reader.u16())}
            mine = {reader.take(32): MemberId(reader.take(8)) for _ in range(reader.u16())}
            formers = [Former.decode(reader) for _ in range(reader.u16())]
            reader.end()
        except MalformedFrame:
            return cls.of(root)
        return cls(chain, removed, mine, formers)
