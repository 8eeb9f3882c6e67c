"""One mailbox on a desk: the test plays the members, the mixnet and the disk. Nothing waits, nothing is random."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Group, LinkId, MsgId, Tag
from railgun_core.base.keys import Identity
from railgun_core.changes import MailAdd, MailDrop, MailEvict
from railgun_core.committee.epoch import DAY_S
from railgun_core.events import Effect, FetchMail, MailFetched, Noticed, Save, SaveSoon, Send
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.mailbox.mailbox import Mailbox, Then
from railgun_core.store.memory_mail import MemoryMail
from railgun_core.wire.frames import ControlFrame, FrameSplitter, Refused, decode_control
from railgun_core.wire.kinds import FrameType, Refusal
from railgun_core.wire.mail import Collect, Collected, Deposit, Evicted, Receipt, collect_message, sign_deposit
from railgun_core.wire.posts import PostAnswer
from railgun_core.wire.records import PeerRole
from tests.property.networks import NOW_S, relay_record, view_of

START = Instant(1_000.0, float(NOW_S))
TODAY = NOW_S // DAY_S
PEERS = [Identity(bytes((n + 1,)) * 32) for n in range(14)]
RECORDS = [relay_record(peer, n, roles=PeerRole.MAILBOX, since_s=NOW_S - 90_000) for n, peer in enumerate(PEERS)]
VIEW = view_of(RECORDS)
OWN = PEERS[0]
TTL_S = 7 * DAY_S


@cache
def room(number: int, day: int = TODAY, *, ours: bool = True) -> Identity:
    """The mail key of a room for a day; `ours`: this mailbox is one of its mailboxes."""
    found: Iterator[Identity] = (
        key
        for salt in itertools.count()
        if ((VIEW.mailboxes(Tag((key := _key(number, day, salt)).public_key), day).seat_of(OWN.peer_id)) is not None)
        == ours
    )
    return next(found)


def _key(number: int, day: int, salt: int) -> Identity:
    return Identity(number.to_bytes(8, "big") + day.to_bytes(8, "big") + salt.to_bytes(16, "big"))


def id_of(number: int) -> MsgId:
    return MsgId(number.to_bytes(16, "big"))


def content(number: int, size: int = 256) -> bytes:
    return number.to_bytes(8, "big").ljust(size, b".")


def deposit(
    number: int, *, key: Identity | None = None, day: int = TODAY, size: int = 256, expiry_s: float | None = None
) -> Deposit:
    expiry = int(NOW_S + TTL_S if expiry_s is None else expiry_s)
    return sign_deposit(key or room(0), day, expiry, id_of(number), content(number, size))


@dataclass
class Desk:
    """A mailbox and its disk. `save` makes durable what waits; `crash` loses what does not lie on the disk."""

    limits: MailboxLimits = field(default_factory=MailboxLimits)
    now: Instant = START
    disk: MemoryMail = field(default_factory=MemoryMail)
    serves: bool = True
    restored_backup: bool = False

    def __post_init__(self) -> None:
        self.numbers = itertools.count(1)
        self.begin()

    def begin(self) -> None:
        """Start the mailbox on what the disk holds."""
        self.out: list[Effect] = []
        self.then: dict[int, Then] = {}
        self.saves: deque[Save] = deque()
        self.fetches: deque[FetchMail] = deque()
        self.notices: list[Noticed] = []
        self.soon: list[MailDrop] = []
        self.mailbox = Mailbox(OWN, view=VIEW, limits=self.limits, when_saved=self._ticket)
        self.mailbox.start(
            self.disk.stored(), self.now, self.out, serves=self.serves, restored_backup=self.restored_backup
        )
        self.sort()

    crash = begin

    def _ticket(self, then: Then) -> int:
        ticket = next(self.numbers)
        self.then[ticket] = then
        return ticket

    def sort(self) -> list[tuple[LinkId, bytes]]:
        """Put each effect where it belongs, and give what was sent."""
        sent: list[tuple[LinkId, bytes]] = []
        out, self.out = self.out, []
        for effect in out:
            match effect:
                case Send():
                    sent.append((effect.link, b"".join(bytes(chunk) for chunk in effect.chunks)))
                case Save():
                    self.saves.append(effect)
                case SaveSoon():
                    for change in effect.changes:
                        assert isinstance(change, MailDrop)
                        self.disk.apply(change)
                        self.soon.append(change)
                case FetchMail():
                    self.fetches.append(effect)
                case Noticed():
                    self.notices.append(effect)
                case _:
                    raise AssertionError(effect)
        for link, data in sent:
            self.wires[link].heard += data
        return sent

    @property
    def wires(self) -> dict[LinkId, Wire]:
        if not hasattr(self, "_wires"):
            self._wires: dict[LinkId, Wire] = {}
        return self._wires

    def wire(self, *, group: Group | None = None) -> Wire:
        """A new inbound link."""
        link = LinkId(next(self.numbers))
        found = self.wires[link] = Wire(self, link, b"binding of %d" % link)
        self.mailbox.link_up(link, found.binding, self.now, group=group)
        return found

    def commit(self) -> Save:
        """The disk has one save more; the mailbox has not heard of it yet."""
        save = self.saves.popleft()
        for change in save.changes:
            assert isinstance(change, MailAdd | MailEvict)
            self.disk.apply(change)
        return save

    def save(self, count: int | None = None) -> None:
        """Make saves durable, the first `count` or all, and say so."""
        for _ in range(len(self.saves) if count is None else count):
            save = self.commit()
            self.then.pop(save.ticket)(self.now, self.out)
        self.sort()

    def read(self) -> None:
        """The disk answers what is asked of it."""
        while self.fetches:
            ask = self.fetches.popleft()
            mail = self.disk.page(ask.tag, ask.position, ask.limit)
            self.mailbox.fetched(MailFetched(ask.ticket, mail), self.now, self.out)
            self.sort()

    def after(self, seconds: float) -> None:
        """Let time pass; what is due is done at its own time."""
        end = self.now.after(seconds)
        while (due_s := self.mailbox.timers.next_s()) is not None and due_s <= end.mono_s:
            self.now = self.now.after(max(0.0, due_s - self.now.mono_s))
            self.mailbox.tick(self.now, self.out)
        self.now = end
        self.sort()

    def post(self, item: Deposit) -> list[PostAnswer]:
        """A deposit through the mixnet; the list fills when it is answered."""
        answers: list[PostAnswer] = []

        def answer(said: PostAnswer, now: Instant, out: list[Effect]) -> None:
            answers.append(said)

        self.mailbox.posted(item, answer, self.now, self.out)
        self.sort()
        return answers

    def do(self, work: Callable[[Mailbox, Instant, list[Effect]], None]) -> None:
        """Call the mailbox directly."""
        work(self.mailbox, self.now, self.out)
        self.sort()

    def kept(self, key: Identity | None = None) -> list[int]:
        """The numbers of the envelopes on the disk under a tag."""
        held = self.disk.tags.get(Tag((key or room(0)).public_key))
        return [int.from_bytes(add.frame[33:41], "big") for add in held.kept.values()] if held else []


@dataclass
class Wire:
    """A member's end of one link."""

    desk: Desk
    link: LinkId
    binding: bytes
    heard: bytes = b""

    def say(self, frame: Deposit | Collect) -> None:
        self.desk.mailbox.frame(self.link, frame, self.desk.now, self.desk.out)
        self.desk.sort()

    def leave(self, *deposits: Deposit) -> list[Receipt]:
        """Leave envelopes and hear what is said at once."""
        for item in deposits:
            self.say(item)
        return self.receipts()

    def ask(
        self,
        position: int = 1,
        *,
        key: Identity | None = None,
        day: int = TODAY,
        follow: bool = False,
        wrong: bytes = b"",
    ) -> None:
        key = key or room(0)
        signature = key.sign("collect", collect_message(self.binding + wrong, day))
        self.say(Collect(Tag(key.public_key), day, position, follow, signature))

    def collect(self, position: int = 1, *, key: Identity | None = None, follow: bool = False) -> tuple[list[int], int]:
        """Everything from `position` on, page by page: the numbers, and the position to go on from."""
        numbers: list[int] = []
        while True:
            self.ask(position, key=key, follow=follow)
            self.desk.read()
            got, control = self.all()
            numbers += got
            (said,) = [frame for frame in control if isinstance(frame, Collected)]
            position = said.position
            if not said.more:
                return numbers, position

    def all(self) -> tuple[list[int], list[ControlFrame]]:
        """Envelopes by number, and control frames, since the last time somebody listened."""
        data, self.heard = self.heard, b""
        batch = FrameSplitter().feed(data) if data else None
        numbers: list[int] = []
        control: list[ControlFrame] = []
        for start, stop in itertools.pairwise(batch.bounds) if batch else ():
            assert batch is not None
            if batch.data[start + 4] == FrameType.ENVELOPE:
                numbers.append(int.from_bytes(batch.data[start + 33 : start + 41], "big"))
            else:
                control.append(decode_control(batch.data, start, stop))
        return numbers, control

    def receipts(self) -> list[Receipt]:
        return [frame for frame in self.all()[1] if isinstance(frame, Receipt)]

    def codes(self) -> list[Refusal | None]:
        """The codes of receipts and refusals."""
        return [frame.code for frame in self.all()[1] if isinstance(frame, Receipt | Refused)]

    def evictions(self) -> list[Evicted]:
        return [frame for frame in self.all()[1] if isinstance(frame, Evicted)]

    def drop(self) -> None:
        self.desk.mailbox.link_down(self.link)
