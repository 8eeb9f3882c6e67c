"""What a member remembers of a room's mail: over restarts, over days, and when what was saved is damaged."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MsgId, PeerId, RoomId
from railgun_core.changes import SecretPut
from railgun_core.rooms.epoch_keys import epoch_keys, mail_keys
from railgun_core.rooms.mail import CENTRAL, Keeper, RoomMail, day_of, expiry_s, mail_lane

DAY_S = 86_400
ROOT = b"the root of a room with a mail.."
ROOM = RoomId(b"r" * 16)
NOW_S = 1_800_000_000.0
TODAY = day_of(NOW_S)


def again(mail: RoomMail) -> RoomMail:
    """The same after a restart."""
    found = RoomMail(0.0, NOW_S)
    found.restore((mail.put(ROOM),), NOW_S)
    return found


def test_mail_keys_differ_from_day_to_day_and_from_those_of_epochs() -> None:
    found = [mail_keys(ROOT, 7), mail_keys(ROOT, 8), epoch_keys(ROOT, 7), epoch_keys(ROOT, 8)]
    for name in ("tag", "seal", "ids"):
        assert len({getattr(keys, name) for keys in found}) == 4
    assert mail_keys(ROOT, 7).tag == found[0].tag


@given(st.dictionaries(st.integers(1, 300), st.tuples(st.sampled_from(Keeper), st.integers(TODAY - 7, TODAY))))
def test_what_is_kept_survives_a_restart(own: dict[int, tuple[Keeper, int]]) -> None:
    mail = RoomMail(0.0, NOW_S)
    for seq, (keeper, day) in own.items():
        mail.keep(seq, keeper, day)
    found = again(mail)
    assert found.own == mail.own
    assert (found.kept, found.central) == (mail.kept, mail.central)


def test_a_position_is_saved_only_once_everything_before_it_is_durable() -> None:
    mail, keeper = RoomMail(0.0, NOW_S), PeerId(b"k" * 32)
    lane = mail_lane(mail.lanes, ROOT, TODAY, Random(1))
    mail.read(lane, keeper, 12)
    assert mail.is_ahead
    assert again(mail).position(lane, keeper) == 0
    mail.settle()
    mail.read(lane, keeper, 20)
    found = again(mail)
    assert (mail.position(lane, keeper), found.position(lane, keeper)) == (20, 12)
    mail.read(lane, CENTRAL, 5)
    mail.read(lane, CENTRAL, 2)  # the server lost its store and counts anew
    assert mail.position(lane, CENTRAL) == 2


@given(st.binary(max_size=64))
def test_a_damaged_secret_means_that_everything_is_read_again(value: bytes) -> None:
    mail = RoomMail(0.0, NOW_S)
    mail.restore((SecretPut(ROOM, "mail", b"\xff" + value),), NOW_S - 3 * DAY_S)
    assert mail.own == {}
    assert mail.first_day(NOW_S) == TODAY - 3


def test_collecting_begins_with_the_last_day_that_was_collected_and_a_week_back_at_most() -> None:
    mail = RoomMail(0.0, NOW_S)
    midnight_s = float(TODAY * DAY_S)
    for collected_s, first in ((NOW_S, TODAY), (NOW_S - 3 * DAY_S, TODAY - 3), (NOW_S - 30 * DAY_S, TODAY - 7)):
        mail.collected_s = collected_s
        assert mail.first_day(NOW_S) == first
    mail.collected_s = midnight_s + 60  # clocks behind ours still left mail under yesterday
    assert mail.first_day(midnight_s + 120) == TODAY - 1


def test_a_collection_in_the_future_was_a_wrong_clocks_and_a_week_is_read_again() -> None:
    mail = RoomMail(0.0, NOW_S + 30 * DAY_S)
    assert mail.first_day(NOW_S) == TODAY - 7
    mail.collected(NOW_S)
    assert mail.first_day(NOW_S) == TODAY
    mail.collected(NOW_S - 60.0)  # a clock that was corrected by a minute is no such case
    assert (mail.collected_s, mail.first_day(NOW_S - 60.0)) == (NOW_S, TODAY)
    assert mail.first_day(3_600.0) == 0  # a machine that knows no time begins in 1970


def test_days_that_nobody_keeps_are_forgotten() -> None:
    mail = RoomMail(0.0, NOW_S)
    old, new = (mail_lane(mail.lanes, ROOT, day, Random(1)) for day in (TODAY - 8, TODAY))
    for lane in (old, new):
        mail.read(lane, CENTRAL, 9)
    mail.keep(1, Keeper.MAILBOX, TODAY - 8)
    mail.keep(2, Keeper.MAILBOX, TODAY)
    mail.settle()
    mail.forget_before(TODAY - 7)
    assert list(mail.lanes) == [TODAY]
    assert list(mail.own) == [2]
    assert again(mail).position(old, CENTRAL) == 0
    assert again(mail).position(new, CENTRAL) == 9


def test_a_mailbox_counts_for_more_than_the_server_and_what_all_have_is_forgotten() -> None:
    mail = RoomMail(0.0, NOW_S)
    for keeper in (Keeper.CENTRAL, Keeper.MAILBOX, Keeper.CENTRAL):
        mail.keep(1, keeper, TODAY)
    assert (mail.kept, mail.central) == (1, 0)
    mail.keep(2, Keeper.CENTRAL, TODAY)
    mail.confirmed(2)
    assert (mail.kept, mail.central) == (0, 1)


def test_mail_expires_within_a_week_of_its_day() -> None:
    assert expiry_s(TODAY) == (TODAY + 7) * DAY_S


def test_on_another_day_letters_are_left_anew() -> None:
    mail = RoomMail(0.0, NOW_S)
    mail.forget_before(TODAY - 7)
    mail.told.add((MsgId(b"m" * 16), False))
    mail.forget_before(TODAY - 7)
    assert mail.told
    mail.forget_before(TODAY - 6)
    assert not mail.told
