"""What cannot be opened: forged, early, spent or too much of it. It costs nothing but itself."""

from __future__ import annotations

from railgun_core.base.ids import MemberId, MsgId
from railgun_core.changes import Membership
from railgun_core.rooms.content import Entry, Form, Letter, Mood, SentItem, encode_item
from railgun_core.rooms.keyring import MAX_WAITING, keys_plaintext
from railgun_core.sim.world import at_once
from railgun_core.wire.frames import Slice
from tests.unit.rooms.table import ANN, BOB, KEYS, ROOM, Other, met, read, seated


def test_items_that_come_before_their_keys_wait_and_the_room_is_asked() -> None:
    table = seated()
    ann = met(table)
    ann.renew()
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(1, b"one"), ann.item(2, b"two"))
    assert read(table) == []
    assert table.room.unreadable == 2
    mark = len(relay.syncs())
    table.after(3.0)
    asking = [sync for sync in relay.syncs()[mark:] if sync.mood is Mood.ASKING]
    assert asking
    assert asking[0].bundle is not None
    relay.push(ann.keys(table))
    assert read(table) == [b"one", b"two"]
    assert table.room.unreadable == 0
    assert table.room.inboxes[ANN].known


def test_asking_for_keys_that_never_come_becomes_rare() -> None:
    table = seated()
    ann = met(table)
    ann.renew()
    relay = table.relay(Slice.PUSH)
    relay.push(ann.item(1))
    mark = len(relay.syncs())
    table.after(300.0)
    assert 4 <= sum(sync.mood is Mood.ASKING for sync in relay.syncs()[mark:]) <= 14


def test_what_waits_for_keys_is_bounded() -> None:
    table = seated()
    met(table)
    relay = table.relay(Slice.PUSH)
    for block in range(0, MAX_WAITING + 500, 100):
        junk = (SentItem(ANN, block + n + 1, 9_000 + n, Form.GROUP, bytes(3_000)) for n in range(100))
        relay.push(*((KEYS.msg_id(ANN, sent.seq, sent.generation), encode_item(sent)) for sent in junk))
    assert table.room.ring.waiting_items <= MAX_WAITING
    assert table.room.ring.waiting_bytes <= 8 * 1024 * 1024


def test_a_forged_item_is_not_shown_and_the_true_one_is() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    relay = table.relay(Slice.PUSH)
    name, content = ann.item(1, b"true")
    _, other = bob.item(1, b"false")
    forged = content[:22] + other[22:]
    relay.push((name, forged))
    assert read(table) == []
    assert table.room.unreadable == 1
    relay.push((name, content))
    assert read(table) == [b"true"]


def test_an_opaque_item_forged_in_anothers_name_is_not_shown() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    bob.opaque = True
    relay = table.relay(Slice.PUSH)
    _, content = bob.item(1, b"mine")
    forged = content[:1] + bytes(ANN) + content[9:]
    relay.push((KEYS.msg_id(ANN, 1, ann.generation), forged))
    assert read(table) == []
    ann.opaque = True
    relay.push(ann.item(1, b"ann's"), (KEYS.msg_id(BOB, 1, bob.generation), content))
    assert sorted(read(table)) == [b"ann's", b"mine"]
    assert all(message.opaque for message in at_once(table.store.messages(ROOM, after=0, limit=9)))


def test_keys_made_for_somebody_else_or_another_generation_are_not_taken() -> None:
    table = seated()
    ann = met(table)
    ann.renew()
    start = ann.group.start_key
    assert start is not None
    pairwise, me = ann.ring.fellow(table.room.me).pairwise, table.room.me
    for plaintext in (
        keys_plaintext(ANN, BOB, ann.generation, start),
        keys_plaintext(BOB, me, ann.generation, start),
        keys_plaintext(ANN, me, ann.generation + 1, start),
        keys_plaintext(ANN, me, ann.generation, start[:-1]),
        b"",
    ):
        table.relay(Slice.PUSH).push(ann.letters((Letter(me, *pairwise.encrypt(plaintext)),)))
    table.relay(Slice.PUSH).push(ann.item(1))
    assert read(table) == []
    table.relay(Slice.PUSH).push(ann.keys(table))
    assert read(table) == [b"words"]


def test_letters_that_their_author_did_not_sign_are_not_read() -> None:
    table = seated()
    ann = met(table)
    ann.renew()
    name, content = ann.keys(table)
    table.relay(Slice.PUSH).push((name, content[:-1] + bytes((content[-1] ^ 1,))), ann.item(1))
    assert read(table) == []
    table.relay(Slice.PUSH).push((MsgId(b"again---again---"), content))
    assert read(table) == [b"words"]


def test_keys_that_come_again_change_nothing() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    ann.renew()
    _, keys = ann.keys(table)
    relay.push((MsgId(b"first---first---"), keys), ann.item(1))
    again = table.restarted()
    again.relay(Slice.PUSH).push((MsgId(b"second--second--"), keys), ann.item(1), ann.item(2, b"more"))
    assert read(again) == [b"words", b"more"]
    assert not again.room.ring.unopened


def test_a_sync_in_anothers_name_is_not_believed() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    relay = table.relay(Slice.PUSH)
    _, farewell = bob.sync(mood=Mood.LEAVING)
    forged = farewell[:1] + bytes(ann.ring.me.public_key) + farewell[33:]
    relay.push((MsgId(b"forged--forged--"), forged))
    assert {inbox.member for inbox in table.room.others} == {ANN, BOB}


def test_a_full_one_time_key_list_and_a_spent_key_end_in_the_last_resort_key() -> None:
    table = seated()
    relay = table.relay(Slice.PUSH)
    ann, bob = Other(ANN), Other(BOB)
    mine = Entry(table.room.me, Membership.ACTIVE, 0)
    relay.push(ann.sync(mine, bundle=True), bob.sync(mine, bundle=True))
    relay.push(ann.keys(table, one_time=0))
    taken = table.room.ring.account.bundle
    assert len(taken.one_time) == 15
    bob.ring.fellow(table.room.me).pairwise.begin(bob.ring.account, taken, taken.last_resort)
    relay.push(bob.keys(table), ann.item(1, b"a"), bob.item(1, b"b"))
    assert sorted(read(table)) == [b"a", b"b"]


def test_after_a_restart_only_what_is_still_to_come_can_be_opened() -> None:
    table = seated()
    ann = met(table)
    relay = table.relay(Slice.PUSH)
    first = ann.item(1, b"one")
    relay.push(first, ann.item(2, b"two"))
    again = table.restarted()
    groups = again.room.ring.fellow(ANN).inbound
    session = groups._groups[ann.generation]
    assert session.first_known_index == 2
    again.relay(Slice.PUSH).push(ann.item(3, b"three"))
    assert read(again) == [b"one", b"two", b"three"]


def test_a_member_nobody_heard_of_opens_no_sessions_without_end() -> None:
    table = seated()
    ann = met(table)
    ghosts = (MemberId(n.to_bytes(8, "big")) for n in range(1, 50))
    table.relay(Slice.PUSH).push(ann.sync(*(Entry(ghost, Membership.ACTIVE, 5) for ghost in ghosts)))
    table.submit(b"words")
    table.after(5.0)
    assert sum(len(fellow.pairwise) for fellow in table.room.ring.fellows.values()) == 1
