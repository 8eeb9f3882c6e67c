"""States, duties and numbers as a screen says them."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import figures
from app.present import (
    Act,
    Connection,
    Seen,
    Shape,
    copied_status,
    duties_view,
    duty_row,
    headline,
    home_view,
    rooms_helped,
    tray_view,
)
from railgun_core.status import DutyState, DutyStatus, NodeStatus, Share, State, Traffic

NOW_S = 1_000_000.0


def status(state: State = State.STANDBY, **changes: object) -> NodeStatus:
    plain = NodeStatus(
        revision=1,
        peer_id="9c41d07e" * 8,
        version="0.1.0",
        mode="p2p",
        state=state,
        reason="",
        reachable=None,
        nat="",
        peers=4,
        relays=3,
        groups=2,
        young_network=True,
        uptime_s=90.0,
        epoch_s=600,
        overlap_s=120,
        unix_s=NOW_S,
    )
    return msgspec.structs.replace(plain, **changes)


def duty(state: DutyState, *, tag: str = "7f3a91c2", seat: int | None = 1, starts: float = NOW_S - 350) -> DutyStatus:
    return DutyStatus(tag, 7, state, seat, 5, starts, starts + 600, 120, 6, 6.2, 100, 31)


def seen(state: State, **changes: object) -> Seen:
    return Seen(status(state, **changes), Connection.CONNECTED)


RELAYING = {
    "duties": tuple(duty(DutyState.SERVING, tag=f"{n:08x}") for n in range(3)),
    "traffic": Traffic(1.2e6, 1.1e6),
}

STATES = [
    (Seen(None, Connection.STARTING), Shape.RING, "Starting…", "Starting…"),
    (
        Seen(status(), Connection.LOST),
        Shape.RING,
        "Starting again…",
        "Starting again… The engine stopped answering. Totals and rooms are kept.",
    ),
    (
        Seen(status(), Connection.STOPPED, "database is read-only (started 4 times)"),
        Shape.EXCLAMATION,
        "Engine stopped",
        "Engine stopped: database is read-only (started 4 times)",
    ),
    (seen(State.STARTING), Shape.RING, "Starting…", "Starting…"),
    (seen(State.JOINING), Shape.ARC, "Finding peers", "Finding peers (4 found)…"),
    (seen(State.STANDBY), Shape.FILLED, "Ready", "Ready. No committee needs you now. That is normal."),
    (
        seen(State.RELAYING, **RELAYING),
        Shape.DOT,
        "Relaying for 3 rooms",
        "Relaying for 3 rooms · ↑1.2 ↓1.1 Mbit/s · next handover 04:10",
    ),
    (seen(State.PAUSED_BY_PERSON, reason="until 15:00"), Shape.BARS, "Paused until 15:00", "Paused until 15:00"),
    (seen(State.PAUSED_BY_PERSON), Shape.BARS, "Paused by you", "Paused by you"),
    (
        seen(State.PAUSED_BY_RULE, reason="on battery"),
        Shape.BARS_CORNER,
        "Paused: on battery",
        "Paused: on battery. It ends by itself.",
    ),
    (
        seen(State.DEGRADED, reason="Symmetric NAT, using TURN."),
        Shape.TRIANGLE,
        "Few can reach you",
        "Few can reach you. Symmetric NAT, using TURN.",
    ),
    (seen(State.OFFLINE), Shape.SLASH, "Offline", "Offline. No network. It resumes by itself."),
    (
        seen(State.ERROR, reason="The disk is full."),
        Shape.EXCLAMATION,
        "Engine stopped",
        "Engine stopped: The disk is full.",
    ),
]


@pytest.mark.parametrize(("known", "shape", "title", "line"), STATES)
def test_each_state_has_its_shape_its_words_and_one_line(known: Seen, shape: Shape, title: str, line: str) -> None:
    head = headline(known, NOW_S)
    assert (head.shape, head.title, head.line) == (shape, title, line)
    assert head.sentence or known.state is State.STARTING


def test_every_state_of_the_engine_is_told_apart_by_shape_alone() -> None:
    shapes = {state: headline(seen(state), NOW_S).shape for state in State}
    assert len(set(shapes.values())) == len(State)


def test_what_the_app_knows_of_its_engine_goes_before_what_the_engine_last_said() -> None:
    assert Seen(status(State.RELAYING), Connection.LOST).state is State.STARTING
    assert Seen(status(State.RELAYING), Connection.STOPPED).state is State.ERROR


def test_the_tray_offers_what_works_and_keeps_its_first_words() -> None:
    tooltips = set()
    for known, *_ in STATES:
        view = tray_view(known, NOW_S)
        assert [act for act, _ in view.menu] == [None, Act.OPEN, Act.ROOMS, Act.COPY_STATUS, Act.SETTINGS, Act.QUIT]
        assert view.menu[0][1] == headline(known, NOW_S).line
        tooltips.add(view.tooltip.splitlines()[0])
    assert tooltips == {"Rail Gun Relay"}


def test_rooms_helped_counts_a_room_once_while_it_is_handed_over() -> None:
    both = (duty(DutyState.SERVING, tag="aa"), duty(DutyState.OVERLAP, tag="bb"))
    assert rooms_helped(status(duties=both)) == 1
    assert rooms_helped(status(duties=both[1:])) == 1
    assert rooms_helped(status()) == 0


def test_unknown_numbers_are_a_dash_with_a_reason_and_never_zero() -> None:
    for number in home_view(Seen(None, Connection.STARTING), NOW_S).numbers:
        assert number.value == figures.UNKNOWN
        assert number.small
    share = home_view(seen(State.STANDBY), NOW_S).numbers[1]
    assert (share.value, share.small) == (figures.UNKNOWN, "known once relays are found")


def test_the_share_is_what_is_held_against_what_is_fair() -> None:
    share = home_view(seen(State.STANDBY, share=Share(1 / 212, 1 / 204)), NOW_S).numbers[1]
    assert share.value == "1.04×"
    assert share.small == "fair share 1/212 · held 1/204"


def test_a_cap_draws_a_bar_and_no_cap_draws_none() -> None:
    capped = home_view(seen(State.STANDBY, traffic=Traffic(month_bytes=3_100, cap_bytes=5_000)), NOW_S).numbers[2]
    free = home_view(seen(State.STANDBY, traffic=Traffic(month_bytes=3_100)), NOW_S).numbers[2]
    assert capped.part == pytest.approx(0.62)
    assert capped.small == "of 5 kB"
    assert free.part is None


def test_rates_of_an_engine_that_is_gone_are_not_shown_as_if_they_were_live() -> None:
    view = home_view(Seen(status(traffic=Traffic(5.0, 5.0)), Connection.LOST), NOW_S)
    assert (view.up, view.down) == (figures.UNKNOWN, figures.UNKNOWN)


def test_a_serving_duty_shows_its_seat_from_one_and_the_time_to_the_handover() -> None:
    row = duty_row(duty(DutyState.SERVING), NOW_S)
    assert row.role == "seat 2 of 5"
    assert row.detail == "6 members · 31 held · handover in 4 min 10 s"
    assert row.overlap_from == pytest.approx(600 / 720)
    assert row.now == pytest.approx(350 / 720)


def test_a_duty_handing_over_lies_in_the_overlap_of_its_bar() -> None:
    row = duty_row(duty(DutyState.OVERLAP, starts=NOW_S - 660), NOW_S)
    assert row.chip == "Handing over"
    assert row.now is not None
    assert row.now > row.overlap_from


def test_a_past_duty_is_a_full_bar_without_a_dot() -> None:
    row = duty_row(duty(DutyState.RETIRED, starts=NOW_S - 2_000), NOW_S)
    assert (row.now, row.served, row.rate) == (None, 1.0, "100 carried")


def test_seats_stand_before_standbys_and_what_serves_before_what_ends() -> None:
    duties = (
        duty(DutyState.OVERLAP, tag="aa"),
        duty(DutyState.SERVING, tag="bb", seat=None),
        duty(DutyState.SERVING, tag="cc"),
        duty(DutyState.PREPARING, tag="dd"),
    )
    for order in itertools.permutations(duties):
        rows = duties_view(seen(State.RELAYING, duties=order), NOW_S).now
        assert [row.tag for row in rows] == ["cc", "bb", "aa", "dd"]


@given(
    now_s=st.floats(0, 4e9),
    starts=st.floats(0, 4e9),
    length=st.floats(0, 1e6),
    overlap=st.floats(0, 1e6),
    state=st.sampled_from(DutyState),
)
def test_the_bar_never_leaves_its_box(
    now_s: float, starts: float, length: float, overlap: float, state: DutyState
) -> None:
    odd = DutyStatus("aa", 1, state, None, 5, starts, starts + length, overlap, 0, 0.0, 0, 0)
    row = duty_row(odd, now_s)
    assert 0.0 <= row.served <= 1.0
    assert row.now is None or 0.0 <= row.now <= 1.0
    assert row.overlap_from <= 1.0 + 1e-9


def test_copied_status_fits_a_chat_and_names_no_peer() -> None:
    text = copied_status(seen(State.RELAYING, **RELAYING), NOW_S)
    assert len(text.splitlines()) == 2
    assert len(text) < 200
    assert "9c41d07e" not in text
