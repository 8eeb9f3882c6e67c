"""The keys of one room on this device: the own member key and sender ratchet, and what it holds of every other member.

Pure state. What has to survive a restart goes into secrets of the room: `account`, `member/<id>` (sessions with a
member) and `group/<id>` (its sender keys). The own sender ratchet is in memory only: see ratchet/group.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import hkdf_expand, label_bytes, u64
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.base.keys import Identity
from railgun_core.changes import SecretPut
from railgun_core.ratchet.account import Account, Bundle
from railgun_core.ratchet.group import InboundGroups, OutboundGroup
from railgun_core.ratchet.pairwise import Pairwise
from railgun_core.ratchet.sealed import Unopenable, Why
from railgun_core.rooms.content import SentItem
from railgun_core.rooms.epoch_keys import member_id_of
from railgun_core.wire.codec import Reader, blob8, u32

GENERATION_ZERO_S = 1_700_000_000  # generations are counted from a moment, so that none is ever counted twice
MAX_WAITING_BYTES = 8 * 1024 * 1024  # of a room: items whose keys have not come
MAX_WAITING = 2_048


@dataclass(slots=True, eq=False)
class Fellow:
    """Another member, as far as keys go."""

    pairwise: Pairwise
    key: bytes = b""  # its public member key
    identity: bytes = b""  # its key in pairwise sessions, vouched for by the member key
    bundle: Bundle | None = None
    proven: bool = False  # it has written in the session that is used
    inbound: InboundGroups = field(default_factory=InboundGroups)
    durable: int = 0  # the newest of its generations that is saved
    claimed: int = 0  # the newest of ours that it says it has
    told_s: float = float("-inf")
    tries: int = 0
    covered_from: int | None = None  # from which own item on it was given the keys; None: not now
    opened: dict[int, tuple[int, int, bool]] = field(default_factory=dict)  # seq -> generation, index, top


@dataclass(slots=True, eq=False)
class Generation:
    """One own generation: who was given it, and who has said so."""

    number: int
    group: OutboundGroup
    audience: frozenset[MemberId]
    since_s: float
    until_s: float = float("inf")  # superseded: for how long its start key is still handed out
    confirmed: set[MemberId] = field(default_factory=set)
    stale: bool = False  # somebody needs it who can no longer be given it
    letters: list[bytes] = field(default_factory=list, repr=False)  # as they went out: mail carries them too


@dataclass(frozen=True, slots=True)
class Sealed:
    """An own item as content, and the generation it was encrypted in."""

    generation: int
    content: bytes = field(repr=False)


class Keyring:
    """See the module. `beginning`: a new generation waits for its save."""

    def __init__(self, seed: bytes, account: Account, last_generation: int, top_seq: int) -> None:
        self.me = Identity(seed)
        self.my_id = member_id_of(self.me.public_key)
        self.account = account
        self.pickle_key = pickle_key_of(seed)
        self.fellows: dict[MemberId, Fellow] = {}
        self.own: Generation | None = None
        self.past: list[Generation] = []
        self.last_generation = last_generation
        self.stream_first = 1  # the sequence with which this member began
        self.top_seq = top_seq  # the highest own item that was ever encrypted, or may have been
        self.beginning = False
        self.tidied_s = float("inf")  # Unix time of the last look at what is to be forgotten
        self.introduce = True  # the next sync carries the bundle
        self.lacking: list[MemberId] = []  # who said that it lacks keys
        self.sealed: dict[int, Sealed] = {}  # own items on their way
        self.waiting: dict[tuple[MemberId, int], list[SentItem]] = {}
        self.waiting_bytes = 0
        self.asked_s = float("-inf")
        self.asks = 0
        self.unopened = 0  # items that came with keys that are here, and could not be opened all the same

    @classmethod
    def create(cls, seed: bytes, now_s: float, *, top_seq: int = 0) -> Keyring:
        """The keys of a member that begins now."""
        return cls(seed, Account.create(pickle_key_of(seed), now_s), 0, top_seq)

    @classmethod
    def restore(cls, seed: bytes, secrets: Iterable[SecretPut], now_s: float, *, top_seq: int) -> Keyring:
        """The keys of before a restart; fresh ones where they are lacking or damaged."""
        rows = {secret.name: secret.value for secret in secrets if secret.value is not None}
        value = rows.get("account", b"")
        try:
            reader = Reader(value)
            last, first = reader.u32(), reader.u64()
            account = Account.restore(reader.rest(), pickle_key_of(seed))
        except MalformedFrame:
            return cls.create(seed, now_s, top_seq=top_seq)
        ring = cls(seed, account, last, top_seq)
        ring.stream_first = first
        account.came_back(now_s)
        for name, row in rows.items():
            kind, _, member = name.partition("/")
            try:
                if kind == "member":
                    ring._restore_member(ring.fellow(MemberId(bytes.fromhex(member))), Reader(row))
                elif kind == "group":
                    fellow = ring.fellow(MemberId(bytes.fromhex(member)))
                    fellow.inbound = InboundGroups.restore(Reader(row))
                    fellow.durable = fellow.inbound.newest
            except (MalformedFrame, ValueError):
                continue  # its keys are handed out again when it is seen that they lack
        return ring

    def _restore_member(self, fellow: Fellow, reader: Reader) -> None:
        key, identity, proven = reader.blob8(32), reader.blob8(32), reader.flag()
        fellow.pairwise = Pairwise.restore(reader, self.pickle_key)
        fellow.key, fellow.identity, fellow.proven = key, identity, proven

    def fellow(self, member: MemberId) -> Fellow:
        """The keys of another member."""
        found = self.fellows.get(member)
        if found is None:
            found = self.fellows[member] = Fellow(Pairwise(self.pickle_key))
        return found

    # ------------------------------------------------------------ rows

    def account_put(self, room: RoomId) -> SecretPut:
        """The account and the number of the newest own generation."""
        head = u32(self.last_generation) + u64(self.stream_first)
        return SecretPut(room, "account", head + self.account.dump())

    def member_put(self, room: RoomId, member: MemberId) -> SecretPut:
        """The sessions with a member."""
        fellow = self.fellow(member)
        head = blob8(fellow.key) + blob8(fellow.identity) + bytes((fellow.proven,))
        return SecretPut(room, f"member/{member.hex()}", head + fellow.pairwise.dump())

    def group_put(self, room: RoomId, member: MemberId) -> SecretPut:
        """The sender keys of a member."""
        return SecretPut(room, f"group/{member.hex()}", self.fellow(member).inbound.dump())

    # ------------------------------------------------------------ sending

    def next_generation(self, unix_s: float) -> int:
        """A number that no generation of this member had, also when an older store was put back."""
        self.last_generation = max(self.last_generation + 1, min(int(unix_s) - GENERATION_ZERO_S, 0xFFFF0000))
        return self.last_generation

    def write_to(self, member: MemberId, plaintext: bytes, *, again: bool) -> tuple[int, bytes] | None:
        """A pairwise message; None when no session can be begun. `again`: the last one did not help."""
        fellow = self.fellow(member)
        bundle = fellow.bundle
        if bundle is not None and (not len(fellow.pairwise) or (again and not fellow.proven)):
            keys = bundle.one_time
            first = bool(keys) and not again
            one_time = keys[int.from_bytes(self.my_id, "big") % len(keys)] if first else bundle.last_resort
            fellow.bundle = None  # each word of theirs is good for one try
            try:
                fellow.pairwise.begin(self.account, bundle, one_time)
            except Unopenable:
                return None
            fellow.proven = False
        if not len(fellow.pairwise):
            return None
        return fellow.pairwise.encrypt(plaintext)

    # ------------------------------------------------------------ receiving

    def wait(self, sent: SentItem) -> bool:
        """Keep an item until its keys come; False when there is no room."""
        held = self.waiting.setdefault((sent.sender, sent.generation), [])
        if any(one.seq == sent.seq for one in held):
            return True
        if self.waiting_bytes + len(sent.payload) > MAX_WAITING_BYTES or self.waiting_items >= MAX_WAITING:
            return False
        held.append(sent)
        self.waiting_bytes += len(sent.payload)
        return True

    def take_waiting(self, member: MemberId, generation: int | None = None) -> Sequence[SentItem]:
        """The items that waited for a generation, or for anything of a member."""
        keys = [key for key in self.waiting if key[0] == member and generation in (None, key[1])]
        taken = [sent for key in keys for sent in self.waiting.pop(key)]
        self.waiting_bytes -= sum(len(sent.payload) for sent in taken)
        return taken

    def drop_waiting(self, member: MemberId, before_seq: int) -> None:
        """Let go of items that came in another way, or that are from before this member's time."""
        for key in [key for key in self.waiting if key[0] == member]:
            kept = [sent for sent in self.waiting[key] if sent.seq >= before_seq]
            self.waiting_bytes -= sum(len(sent.payload) for sent in self.waiting[key] if sent.seq < before_seq)
            if kept:
                self.waiting[key] = kept
            else:
                del self.waiting[key]

    @property
    def waiting_items(self) -> int:
        """How many items wait for keys."""
        return sum(map(len, self.waiting.values()))


def pickle_key_of(seed: bytes) -> bytes:
    """What the library's objects are pickled under; the store encrypts them once more."""
    return hkdf_expand(seed, b"pickle", 32)


def keys_plaintext(author: MemberId, reader: MemberId, generation: int, start_key: bytes) -> bytes:
    """What a letter with a sender key says: bound to who wrote it, for whom and for what."""
    return label_bytes("keys") + author + reader + u32(generation) + start_key


def reroot_plaintext(author: MemberId, reader: MemberId, parent: bytes, root: bytes, gone: MemberId) -> bytes:
    """What a letter with a new room root says: whose successor it is, and who is left out."""
    return label_bytes("reroot") + author + reader + parent + root + gone


def bound(plaintext: bytes, label: str, author: MemberId, reader: MemberId) -> Reader:
    """What follows the binding of a letter. Unopenable when it was written for something else."""
    head = label_bytes(label) + author + reader
    if not plaintext.startswith(head):
        raise Unopenable(Why.FORGED)
    return Reader(plaintext, len(head))
