"""Envelopes that come through the mixnet: checked like a session, taken in like a publication, answered once."""

from __future__ import annotations

import dataclasses

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MsgId
from railgun_core.events import Effect
from railgun_core.relay.duty import RelayLimits
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.wire.frames import Got
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.posts import Post, PostAnswer, PostStatus, sign_post
from tests.unit.relay.desk import CLOCK, EPOCH, KEYS, OUTSIDER, START, Desk, id_of


def post(number: int, epoch: int = EPOCH) -> Post:
    keys = KEYS if epoch == EPOCH else epoch_keys(b"r" * 32, epoch)
    expiry_s = int(CLOCK.retire_s(epoch)) + 1
    return sign_post(keys.sign, epoch, expiry_s, id_of(number), bytes(4_096))


class Sender:
    """Posts to a desk, and keeps the answers."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.answers: list[PostAnswer] = []

    def post(self, item: Post) -> list[PostAnswer]:
        def answer(said: PostAnswer, now: Instant, out: list[Effect]) -> None:
            self.answers.append(said)

        self.desk.relay.posted(item, answer, self.desk.now, self.desk.out)
        return self.answers


def test_a_post_reaches_the_members_and_is_answered_when_a_majority_holds_it() -> None:
    desk = Desk()
    member = desk.member()
    fellows = [desk.fellow(0), desk.fellow(1)]
    for fellow in fellows:
        fellow.heard()
    sender = Sender(desk)
    assert sender.post(post(1)) == []
    assert member.envelopes() == [1]
    assert [fellow.envelopes() for fellow in fellows] == [[1], [1]]
    fellows[0].say(Got(desk.duty.handle, 1).encode())
    assert sender.answers == []
    fellows[1].say(Got(desk.duty.handle, 1).encode())
    assert sender.answers == [PostAnswer(PostStatus.STORED, None, 3, 5)]


def test_a_post_begins_a_duty_where_the_committee_has_this_relay() -> None:
    desk = Desk()
    Sender(desk).post(post(1))
    assert desk.duty.tag == KEYS.tag


def test_a_post_that_comes_again_is_pushed_once_and_answered_each_time() -> None:
    desk = Desk()
    member = desk.member()
    sender = Sender(desk)
    for _ in range(3):
        sender.post(post(7))
    assert member.envelopes() == [7]
    for number in range(2):
        fellow = desk.fellow(number)
        fellow.heard()
        fellow.say(Got(desk.duty.handle, 3).encode())
    assert [answer.status for answer in sender.answers] == [PostStatus.STORED] * 3


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (dataclasses.replace(post(1), signature=bytes(64)), Refusal.BAD_SIGNATURE),
        (dataclasses.replace(post(1), msg_id=MsgId(bytes(16))), Refusal.BAD_SIGNATURE),
        (post(1, EPOCH - 2), Refusal.WRONG_EPOCH),
        (post(1, EPOCH + 2), Refusal.WRONG_EPOCH),
        (
            sign_post(KEYS.sign, EPOCH, int(START.unix_s), id_of(1), bytes(4_096)),
            Refusal.EXPIRED,
        ),
    ],
)
def test_what_may_not_come_in_is_refused_with_its_reason(item: Post, code: Refusal) -> None:
    desk = Desk()
    assert Sender(desk).post(item) == [PostAnswer(PostStatus.REFUSED, code)]
    assert not desk.relay.duties


def test_a_relay_outside_the_committee_says_so() -> None:
    assert Sender(Desk(own=OUTSIDER)).post(post(1)) == [PostAnswer(PostStatus.REFUSED, Refusal.NOT_SERVING)]


def test_more_posts_than_the_duty_may_take_are_refused() -> None:
    desk = Desk(limits=RelayLimits(rate_per_s=1, burst=2))
    sender = Sender(desk)
    for number in range(3):
        sender.post(post(number))
    assert sender.answers == [PostAnswer(PostStatus.REFUSED, Refusal.RATE)]
    desk.after(1.0)
    sender.post(post(3))
    assert len(sender.answers) == 1


def test_a_full_spool_refuses_and_keeps_nothing() -> None:
    desk = Desk(limits=RelayLimits(spool_bytes=5_000))
    sender = Sender(desk)
    sender.post(post(1))
    assert sender.post(post(2)) == [PostAnswer(PostStatus.REFUSED, Refusal.FULL)]
    assert desk.duty.spool.position == 1


def test_posts_of_a_duty_that_ended_are_not_answered_any_more() -> None:
    desk = Desk()
    sender = Sender(desk)
    sender.post(post(1))
    desk.after(2 * 600.0)
    assert not desk.relay.duties
    assert sender.answers == []
