"""What a mailbox holds, whatever happens to it: nothing receipted is lost, no position means two envelopes.

The machine leaves envelopes, lets the disk finish some of them, crashes at any point, lets days pass and takes room
away; after each step it counts everything again from the names, and collects as a member who has been away.
"""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from railgun_core.base.ids import MsgId, Tag
from railgun_core.base.keys import Identity
from railgun_core.changes import StoredMail
from railgun_core.committee.epoch import DAY_S
from railgun_core.mailbox.limits import LEAST_CHARGE_BYTES, MailboxLimits
from railgun_core.mailbox.names import Kept
from railgun_core.mailbox.shelf import Shelf, before_day, charge, on_disk
from railgun_core.wire.frames import FrameSplitter, decode_control
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.mail import Collected, Evicted, Receipt, sign_evicted
from tests.unit.mailbox.desk import OWN, TODAY, Desk, deposit, id_of, room

TAG = Tag(b"t" * 32)
ROOMS = [room(0), room(1), room(2, TODAY - 1)]
DAYS = [TODAY, TODAY, TODAY - 1]
LIMITS = MailboxLimits(
    bytes=14 * LEAST_CHARGE_BYTES,
    tag_bytes=9 * LEAST_CHARGE_BYTES,
    burst=10**6,
    pages_burst=10**6,
    draws_burst=10**6,
)


def test_an_envelope_costs_at_least_a_page_and_a_tag_at_least_an_envelope() -> None:
    assert [charge(size) for size in (289, 4_129, 65_569)] == [4_096, 4_129, 65_569]
    assert [on_disk(size) for size in (289, 4_129, 65_569)] == [4_096, 8_192, 73_728]
    shelf = Shelf()
    assert shelf.cost_of(None, 289) == 4_096
    held, pending = shelf.promise(TAG, 5, digest=id_of(1), size=289, expiry_s=9)
    assert (shelf.used_bytes, shelf.unsaved_bytes, shelf.envelopes) == (4_096, 289, 0)
    shelf.keep(held, pending)
    assert (shelf.used_bytes, shelf.unsaved_bytes, shelf.envelopes) == (4_096, 0, 1)
    assert shelf.cost_of(held, 4_129) == 8_192
    assert shelf.evict(held, 1, 9) == [pending.kept]
    assert (shelf.used_bytes, shelf.envelopes) == (4_096, 0)
    assert shelf.cost_of(held, 289) == 0


def test_what_was_stored_is_taken_back_with_its_newest_notice() -> None:
    notices = [sign_evicted(OWN, TAG, 5, first=n, last=4, count=1, at_s=9) for n in (1, 2)]
    shelf = Shelf()
    kept = ((5, id_of(1), 289, 99), (7, id_of(2), 4_129, 99))
    shelf.restore([StoredMail(TAG, 5, 9, kept, tuple(n.encode() for n in notices))], restored_backup=False)
    held = shelf.tags[TAG]
    assert (held.next_position, held.next_durable, held.notice) == (9, 9, notices[1])
    assert held.kept.since(6, 9) == [Kept(7, id_of(2), 4_129, 99)]
    assert (shelf.used_bytes, held.charged_bytes, shelf.envelopes) == (4_096 + 8_192, 4_096 + 4_129, 2)


def test_a_tag_with_something_on_its_way_is_not_forgotten() -> None:
    shelf = Shelf()
    held, pending = shelf.promise(TAG, 5, digest=id_of(1), size=289, expiry_s=9)
    late_s = 40.0 * DAY_S
    assert before_day(late_s) > 5
    assert shelf.expire(late_s) == 0
    shelf.keep(held, pending)
    assert shelf.expire(late_s) == 1
    assert (shelf.tags, shelf.used_bytes) == ({}, 0)


class MailboxMachine(RuleBasedStateMachine):
    """One mailbox, its disk, and a member of three rooms."""

    @initialize()
    def start(self) -> None:
        self.desk = Desk(LIMITS)
        self.wire = self.desk.wire()
        self.limit = LIMITS.bytes
        self.receipted: dict[tuple[Tag, MsgId], tuple[int, int]] = {}  # (position, expiry)
        self.told: dict[tuple[Tag, int], int] = {}  # what was ever handed out at a position

    @rule(which=st.integers(0, 2), number=st.integers(1, 9), size=st.sampled_from([256, 4_096]), days=st.integers(1, 7))
    def leave(self, which: int, number: int, size: int, days: int) -> None:
        expiry_s = self.desk.now.unix_s + days * DAY_S
        number += 9 if size > 256 else 0  # the same name for other bytes is another envelope
        self.wire.say(deposit(number, key=ROOMS[which], day=DAYS[which], size=size, expiry_s=expiry_s))
        self.listen()

    @precondition(lambda self: self.desk.saves)
    @rule()
    def save_one(self) -> None:
        self.desk.save(1)
        self.listen()

    @rule()
    def save_all(self) -> None:
        self.desk.save()
        self.listen()

    @rule(durable=st.integers(0, 3))
    def crash(self, durable: int) -> None:
        """The disk has finished some more saves, but nobody was told."""
        for _ in range(min(durable, len(self.desk.saves))):
            self.desk.commit()
        self.desk.crash()
        self.wire = self.desk.wire()

    @rule(envelopes=st.integers(0, 14))
    def grant(self, envelopes: int) -> None:
        self.limit = envelopes * LEAST_CHARGE_BYTES
        self.desk.limits = MailboxLimits(self.limit, LIMITS.tag_bytes, burst=10**6, pages_burst=10**6)
        self.desk.do(lambda box, now, out: box.set_limits(self.desk.limits, now, out))

    @rule(hours=st.sampled_from([1, 20]))
    def wait(self, hours: int) -> None:
        self.desk.after(hours * 3_600.0)

    @precondition(lambda self: self.desk.now.unix_s < (TODAY + 9) * DAY_S)  # older days cannot be asked for
    @rule(which=st.integers(0, 2))
    def collect_everything(self, which: int) -> None:
        tag = Tag(ROOMS[which].public_key)
        got, notices = self.collect(ROOMS[which], DAYS[which])
        for (of_tag, msg_id), (position, expiry_s) in self.receipted.items():
            if of_tag != tag or expiry_s <= self.desk.now.unix_s:
                continue
            number = int.from_bytes(msg_id, "big")
            assert number in got or any(n.first <= position <= n.last for n in notices), "receipted, and lost"
        assert len(set(got)) == len(got)
        assert all(n.is_signed() for n in notices)

    def collect(self, key: Identity, day: int) -> tuple[list[int], list[Evicted]]:
        numbers: list[int] = []
        notices: list[Evicted] = []
        position, more = 1, True
        while more:
            self.wire.ask(position, key=key, day=day)
            self.desk.read()
            mail = self.desk.disk.tags.get(Tag(key.public_key))
            got, control = self.wire.all()
            numbers += got
            notices += [f for f in control if isinstance(f, Evicted)]
            (said,) = [f for f in control if isinstance(f, Collected)]
            assert mail is not None or not got
            for number in got:
                assert mail is not None
                (at,) = [at for at, add in mail.kept.items() if add.frame[17:33] == id_of(number)]
                assert self.told.setdefault((mail.kept[at].tag, at), number) == number, "a position was given twice"
                assert position <= at < said.position
            position, more = said.position, said.more
        return numbers, notices

    def listen(self) -> None:
        """Whoever hears that something is kept finds it on the disk at that very moment."""
        data, self.wire.heard = self.wire.heard, b""
        batch = FrameSplitter().feed(data) if data else None
        for start, stop in itertools.pairwise(batch.bounds) if batch else ():
            assert batch is not None
            assert batch.data[start + 4] == FrameType.RECEIPT
            receipt = decode_control(batch.data, start, stop)
            assert isinstance(receipt, Receipt)
            if receipt.code is not None:
                continue
            (tag,) = [Tag(key.public_key) for key in ROOMS if key.public_key[:8] == receipt.handle]
            mail = self.desk.disk.tags[tag]
            (at,) = [at for at, add in mail.kept.items() if add.frame[17:33] == receipt.msg_id]
            self.receipted[tag, receipt.msg_id] = (at, mail.kept[at].expiry_s)

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "desk"):
            return
        shelf = self.desk.mailbox._shelf
        cost = 0
        for held in shelf.tags.values():
            sizes = [k.size for k in (*held.kept, *(pending.kept for pending in held.pending.values()))]
            assert held.charged_bytes == sum(map(charge, sizes)) <= LIMITS.tag_bytes
            assert held.disk_bytes == sum(map(on_disk, sizes))
            assert all(kept.digest in held.kept for kept in held.kept)
            positions = [kept.position for kept in held.kept]
            assert positions == sorted(set(positions))
            assert all(position < held.next_durable <= held.next_position for position in positions)
            cost += max(held.disk_bytes, LEAST_CHARGE_BYTES)
        waiting = [p.kept.size for held in shelf.tags.values() for p in held.pending.values()]
        assert (shelf.used_bytes, shelf.unsaved_bytes) == (cost, sum(waiting))
        assert shelf.envelopes == sum(len(held.kept) for held in shelf.tags.values())
        if not self.desk.saves:
            assert shelf.used_bytes <= max(self.limit, len(shelf.tags) * LEAST_CHARGE_BYTES)

    @invariant()
    def a_restart_would_find_the_same(self) -> None:
        if not hasattr(self, "desk") or self.desk.saves:
            return
        shelf = self.desk.mailbox._shelf
        names = {
            held.tag: (held.next_durable, tuple(tuple(kept) for kept in held.kept)) for held in shelf.tags.values()
        }
        stored = {one.tag: (one.next_position, one.kept) for one in self.desk.disk.stored()}
        assert names == stored


TestMailbox = MailboxMachine.TestCase
TestMailbox.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
