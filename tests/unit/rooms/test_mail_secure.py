"""High-security rooms: mail goes through mixes in medium envelopes only, and is fetched through a guard."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from railgun_core.base.clock import Instant
from railgun_core.base.ids import DialId, LinkId, MsgId, PeerId
from railgun_core.changes import Delivery
from railgun_core.events import Effect
from railgun_core.rooms.content import Piece, decode_content
from railgun_core.rooms.mail_parcels import POST_WITHIN_S
from railgun_core.rooms.room import Answered
from railgun_core.wire.envelope import SizeClass, open_envelope
from railgun_core.wire.mail import Deposit
from railgun_core.wire.posts import POST_BYTES, PostAnswer, PostStatus
from tests.unit.rooms.table import LATER, Table
from tests.unit.rooms.test_mail_collecting import BOXES, DAY, MAIL, MORE_BOXES, boxes_of, done, mail_of, record_of

GUARD = LinkId(77)
MAILBOXES = {box.peer_id for box in BOXES}
ALL_MAILBOXES = {box.peer_id for box in MORE_BOXES}


@dataclass
class Carrier:
    """The mixnet: the test answers every post."""

    all_rooms: bool = False
    guard_link: LinkId | None = GUARD
    posts: list[tuple[bytes, PeerId, Answered]] = field(default_factory=list)
    guards = frozenset[PeerId]()

    def guard(self, now: Instant) -> LinkId | None:
        return self.guard_link

    def reaches(self, relay: PeerId, now: Instant) -> bool:
        return True

    def post(self, body: bytes, to: PeerId, then: Answered, now: Instant, out: list[Effect]) -> bool:
        self.posts.append((body, to, then))
        return True

    def deposits(self) -> list[tuple[Deposit, PeerId, Answered]]:
        return [(Deposit.from_body(body), to, then) for body, to, then in self.posts if to in ALL_MAILBOXES]


class SecureTable(Table):
    """A member of a high-security room, and the links through which each dial goes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.carrier = Carrier()
        self.vias: list[LinkId | None] = []
        self.rooms.context.carrier = self.carrier

    def _dial(self, peer_id: PeerId, seed: bytes, via: LinkId | None, out: list[Effect]) -> DialId:
        self.vias.append(via)
        return super()._dial(peer_id, seed, via, out)


def seated(boxes: int = 3) -> SecureTable:
    table = SecureTable()
    table.rooms.context.view.merge([record_of(n) for n in range(boxes)], LATER.unix_s)
    table.enter()
    table.rooms.secure(table.room, table.now, table.out, on=True)
    table.vias.clear()
    table.after(2.0)
    return table


def answer(table: SecureTable, *, times: int) -> None:
    """The first mailboxes that were asked keep it."""
    for deposit, _, then in table.carrier.deposits()[:times]:
        assert deposit.is_signed()
        then(PostAnswer(PostStatus.STORED, held=1, size=1).encode(), table.now, table.out)
    table.carry()


def test_an_item_that_no_relay_answers_for_is_posted_to_mailboxes() -> None:
    table = seated()
    table.submit(b"words")
    table.after(10.0)
    assert table.carrier.deposits() == []  # through mixes an answer takes seconds
    table.after(8.0)
    found = table.carrier.deposits()
    assert {to for _, to, _ in found} == MAILBOXES
    assert {len(body) for body, to, _ in table.carrier.posts} == {POST_BYTES}
    assert {(deposit.tag, deposit.msg_id) for deposit, _, _ in found} == {(MAIL.tag, found[0][0].msg_id)}
    answer(table, times=1)
    assert table.moved == []
    answer(table, times=2)
    assert table.moved == [(1, 1, Delivery.STORED)]
    assert mail_of(table).kept == 1


def test_a_mailbox_that_does_not_answer_a_post_is_replaced_by_a_standby() -> None:
    table = seated(5)
    seats = set(table.rooms.context.view.mailboxes(MAIL.tag, DAY).members)
    for box in boxes_of(table):
        box.say(done(1))  # they answer through the guard, only posts do not reach all of them
    table.submit(b"words")
    table.after(20.0)
    assert {to for _, to, _ in table.carrier.deposits()} == seats
    answer(table, times=1)
    table.after(POST_WITHIN_S + 5.0)
    for deposit, to, then in table.carrier.deposits():
        assert deposit.is_signed()
        if to not in seats:
            then(PostAnswer(PostStatus.STORED, held=1, size=1).encode(), table.now, table.out)
    table.carry()
    assert mail_of(table).kept == 1


def test_what_does_not_fit_a_medium_envelope_is_left_in_pieces_and_kept_when_all_are() -> None:
    table = seated()
    table.room.put = replace(table.room.put, secure=False)
    table.submit(bytes(9_000))  # a large item, from before the room became a high-security one
    table.rooms.secure(table.room, table.now, table.out, on=True)
    table.after(20.0)
    found = table.carrier.deposits()
    names = {deposit.msg_id for deposit, _, _ in found}
    assert len(names) > 1
    for deposit, _, _ in found:
        assert len(deposit.envelope) == SizeClass.MEDIUM
        assert isinstance(decode_content(open_envelope(deposit.envelope, MAIL.seal)), Piece)
    kept: set[MsgId] = set()
    for deposit, to, then in found:
        if to in sorted(MAILBOXES)[:2]:
            then(PostAnswer(PostStatus.STORED, held=1, size=1).encode(), table.now, table.out)
            kept.add(deposit.msg_id)
    table.carry()
    assert kept == names
    assert mail_of(table).kept == 1


def test_mail_is_fetched_through_a_guard_and_never_past_it() -> None:
    table = seated()
    assert boxes_of(table)
    assert set(table.vias) == {GUARD}
    table.carrier.guard_link = None
    for relay in list(table.relays):
        relay.die()
    begun = len(table.vias)
    table.after(20.0)
    assert len(table.vias) == begun


def test_a_post_that_is_not_answered_goes_out_again() -> None:
    table = seated()
    table.submit(b"words")
    table.after(18.0)
    begun = len(table.carrier.deposits())
    for _, _, then in table.carrier.deposits():
        then(None, table.now, table.out)
    table.after(5.0)
    assert len(table.carrier.deposits()) > begun
