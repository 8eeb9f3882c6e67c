"""Fetching mail from mailboxes that nobody has to trust."""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MsgId, PublicKey, handle_of
from railgun_core.base.keys import Identity, verify
from railgun_core.events import Hangup
from railgun_core.rooms.epoch_keys import mail_keys
from railgun_core.rooms.mail import CENTRAL, RoomMail, day_of, expiry_s
from railgun_core.rooms.mail_collecting import MAX_GARBAGE
from railgun_core.wire.envelope import SizeClass, seal
from railgun_core.wire.frames import Refused, Slice, envelope_frame
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Collect, Collected, Receipt, collect_message, sign_evicted
from railgun_core.wire.records import Address, AddressKind, PeerBody, PeerRole, Record, sign_record
from tests.unit.relay.desk import START
from tests.unit.rooms.table import LATER, ROOM, ROOT, ScriptedRelay, Table, met, noticed, read

BOXES = [Identity(bytes((n + 101,)) * 32) for n in range(3)]
MORE_BOXES = [*BOXES, *(Identity(bytes((n + 101,)) * 32) for n in range(3, 5))]
DAY = day_of(LATER.unix_s)
MAIL = mail_keys(ROOT, DAY)
HANDLE = MAIL.tag[:8]


def record_of(number: int) -> Record:
    host, start_s = f"{120 + number}.1.1.1", int(START.unix_s)
    addresses = (Address(AddressKind.TLS, host, 4_000), Address(AddressKind.DHT, host, 4_000))
    body = PeerBody(addresses, PeerRole.MAILBOX, "t", 1, 1)
    return sign_record(
        MORE_BOXES[number], body, sequence=start_s * 1000, not_before_s=start_s - 90_000, expires_s=start_s + 7_000
    )


def seated(boxes: int = 3) -> tuple[Table, list[ScriptedRelay]]:
    """A member with sessions that has just asked its mailboxes for mail of today."""
    table = Table()
    table.rooms.context.view.merge([record_of(n) for n in range(boxes)], LATER.unix_s)
    table.enter()
    table.after(1.0)
    return table, boxes_of(table)


def boxes_of(table: Table) -> list[ScriptedRelay]:
    keys = {box.peer_id for box in MORE_BOXES}
    return [relay for relay in table.relays if relay.peer_id in keys]


def asked(box: ScriptedRelay) -> list[Collect]:
    return [frame for frame in box.asked if isinstance(frame, Collect)]


def sealed(table: Table, content: tuple[MsgId, bytes]) -> bytes:
    msg_id, body = content
    size = SizeClass.MEDIUM if len(body) <= SizeClass.MEDIUM.capacity else SizeClass.LARGE
    envelope = seal(body, MAIL.seal, size=size, nonce=table.rng.randbytes(12))
    return envelope_frame(HANDLE, expiry_s=expiry_s(DAY), msg_id=msg_id, envelope=envelope)


def done(position: int, *, more: bool = False) -> bytes:
    return Collected(HANDLE, position, more).encode()


def mail_of(table: Table) -> RoomMail:
    return table.rooms.rooms[ROOM].mail


def test_each_mailbox_is_asked_on_a_link_of_its_own_with_a_signature_over_that_link() -> None:
    table, boxes = seated()
    assert len(boxes) == 3
    for box in boxes:
        (question,) = asked(box)
        assert (question.tag, question.day, question.position, question.follow) == (MAIL.tag, DAY, 0, False)
        assert verify(PublicKey(MAIL.tag), "collect", collect_message(b"binding", DAY), question.signature)
    for box in boxes:
        box.say(done(1))
    table.after(20.0)
    assert boxes_of(table) == []
    assert mail_of(table).collected_s > LATER.unix_s - 10


def test_a_day_that_a_wrong_clock_left_behind_does_not_hide_the_mailboxes_of_today() -> None:
    table, _ = seated()
    right = table.now
    table.now = Instant(right.mono_s, right.unix_s + 400 * 86_400)
    table.after(5.0)  # a look in a year that is not now
    table.now = Instant(table.now.mono_s, right.unix_s + 5.0)
    for _ in range(20):  # until everything is collected
        for box in boxes_of(table):
            box.say(*(Collected(handle_of(question.tag), 1, False).encode() for question in asked(box)[-1:]))
        table.after(1.0)
    assert mail_of(table).poll_s > table.now.mono_s
    assert max(mail_of(table).lanes) > DAY
    assert (MAIL.tag, DAY) in table.rooms.mail.targets(table.now)


def test_pages_are_read_on_and_the_same_from_another_mailbox_is_shown_once() -> None:
    table, (one, two, three) = seated()
    ann = met(table)
    mail = [sealed(table, ann.item(n, b"%d" % n)) for n in range(1, 5)]
    one.say(*mail[:2], done(3, more=True))
    assert [question.position for question in asked(one)] == [0, 3]
    one.say(*mail[2:], done(5))
    two.say(*mail, done(5))
    three.say(done(1))
    assert read(table) == [b"1", b"2", b"3", b"4"]
    table.after(3.0)
    again = table.restarted()
    again.rooms.context.view.merge([record_of(n) for n in range(3)], LATER.unix_s)
    again.rooms.view_changed(again.now, again.out)
    again.after(2.0)
    positions = {box.peer_id: asked(box)[0].position for box in boxes_of(again)}
    assert positions == {one.peer_id: 5, two.peer_id: 5, three.peer_id: 1}


def test_a_mailbox_cannot_hide_what_the_others_keep_by_bringing_it_under_other_names() -> None:
    table, (liar, two, three) = seated()
    ann = met(table)
    one, lost = ann.item(1, b"1"), ann.item(2, b"2")
    liar.say(sealed(table, one), sealed(table, (lost[0], one[1])), done(3))
    for box in (two, three):
        box.say(sealed(table, one), sealed(table, lost), done(3))
    assert read(table) == [b"1", b"2"]


def test_positions_wait_while_something_lacks_what_lies_before_it() -> None:
    table, boxes = seated()
    ann = met(table)
    for box in boxes:
        box.say(sealed(table, ann.item(2, b"second")), done(3))
    table.after(5.0)
    again = table.restarted()
    again.rooms.context.view.merge([record_of(n) for n in range(3)], LATER.unix_s)
    again.rooms.view_changed(again.now, again.out)
    again.after(2.0)
    assert {asked(box)[0].position for box in boxes_of(again)} == {0}


def test_a_mailbox_that_repeats_its_pages_without_end_is_left() -> None:
    table, (one, *_) = seated()
    one.say(done(7, more=True))
    one.say(done(7, more=True))
    assert one not in table.relays
    assert Hangup(one.link) in table.out


def test_a_mailbox_that_promises_pages_without_end_and_brings_none_is_left() -> None:
    table, (one, *_) = seated()
    one.say(*(done(n, more=True) for n in range(1, 10_000)))
    assert one not in table.relays
    assert len(asked(one)) <= MAX_GARBAGE + 2  # each cost a signature


def test_what_a_sender_left_with_the_mailboxes_in_reserve_is_found_though_all_seats_answer() -> None:
    """It could not reach the seats, they are well and know nothing of it."""
    table, boxes = seated(5)
    ann = met(table)
    view = table.rooms.context.view
    seats = view.mailboxes(MAIL.tag, DAY).members
    for box in boxes:
        held = () if box.peer_id in seats else (sealed(table, ann.item(1, b"words")),)
        box.say(*held, done(1 + len(held)))
    assert read(table) == [b"words"]


def test_a_mailbox_that_brings_rubbish_is_left_and_the_others_are_read() -> None:
    table, (one, two, _) = seated()
    ann = met(table)
    rubbish = [
        envelope_frame(HANDLE, expiry_s=expiry_s(DAY), msg_id=MsgId(table.rng.randbytes(16)), envelope=bytes(4_096))
        for _ in range(MAX_GARBAGE + 1)
    ]
    one.say(*rubbish)
    assert one not in table.relays
    two.say(sealed(table, ann.item(1, b"words")), done(2))
    assert read(table) == [b"words"]


def test_an_answer_for_another_room_ends_the_link() -> None:
    table, (one, *_) = seated()
    one.say(Collected(MAIL.tag[8:16], 4, more=False).encode())
    assert one not in table.relays


def test_a_busy_mailbox_is_asked_again_and_one_that_refuses_is_left() -> None:
    table, (one, two, three) = seated()
    one.say(Refused(HANDLE, Refusal.RATE, 500).encode())
    table.after(1.2)
    assert len(asked(one)) == 2
    two.say(Refused(HANDLE, Refusal.NOT_SERVING, 0).encode())
    assert two not in table.relays
    assert three in table.relays


def test_a_silent_mailbox_does_not_hold_up_the_collection() -> None:
    table, (one, two, three) = seated()
    one.say(done(1))
    two.say(done(1))
    table.after(3.0)
    assert mail_of(table).collected_s >= LATER.unix_s
    assert not mail_of(table).wanted
    table.after(20.0)
    assert three not in table.relays


def test_a_mailbox_without_a_place_for_followers_is_read_on_and_asked_again_later() -> None:
    table, boxes = seated()
    for box in boxes:
        box.say(done(1))
    table.answers = False  # the committee is gone: what is deposited from now on is wanted at once
    for relay in [relay for relay in table.relays if relay not in boxes]:
        relay.die()
    table.after(8.0)
    one = boxes[0]
    assert asked(one)[-1].follow
    one.say(done(1), Refused(HANDLE, Refusal.FULL, 30_000).encode())
    assert one in table.relays
    said = len(asked(one))
    table.after(8.0)
    assert len(asked(one)) == said
    boxes[1].say(Refused(HANDLE, Refusal.FULL, 30_000).encode())  # before anything was read: not one to wait for
    assert boxes[1] not in table.relays


def test_mail_that_was_lost_is_said_once_when_one_of_its_mailboxes_signed_it() -> None:
    table, (one, two, _) = seated()
    signer = next(box for box in BOXES if box.peer_id == one.peer_id)
    stranger = Identity(b"s" * 32)
    for who in (stranger, signer, signer):
        notice = sign_evicted(who, MAIL.tag, DAY, first=1, last=3, count=2, at_s=int(LATER.unix_s))
        two.say(notice.encode())
    assert noticed(table).count("mail-evicted") == 1


def test_a_receipt_or_a_page_that_nobody_asked_for_changes_nothing() -> None:
    table, (one, *_) = seated()
    one.say(Receipt(HANDLE, MsgId(b"x" * 16)).encode())
    assert mail_of(table).own == {}
    lane = mail_of(table).lanes[DAY]
    assert mail_of(table).position(lane, CENTRAL) == 0


def test_a_gap_that_the_committee_does_not_fill_is_looked_for_in_the_mail() -> None:
    table, boxes = seated()
    ann = met(table)
    for box in boxes:
        box.say(done(1))
    table.after(30.0)
    table.relay(Slice.PUSH).push(ann.item(2, b"second"))
    begun = len(table.relays)
    table.after(8.0)
    found = boxes_of(table)
    assert found
    assert len(table.relays) > begun
    found[0].say(sealed(table, ann.item(1, b"first")), done(3))
    assert read(table) == [b"first", b"second"]
