"""One relay as a member sees it: counts that stay right, and how sound it looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import DialId, MsgId, PeerId, handle_of
from railgun_core.rooms.session import RTO_MAX_S, RTO_MIN_S, Phase, RelaySession, Sent
from railgun_core.wire.frames import Ack, Slice
from tests.unit.relay.desk import KEYS

HANDLE = handle_of(KEYS.tag)


def open_session(now_s: float = 0.0) -> RelaySession:
    session = RelaySession.begin(PeerId(b"p" * 32), DialId(1), now_s, tunnelled=False)
    session.phase = Phase.OPEN
    session.grant(1_000, 1_000, now_s)
    return session


def sent(seq: int | None, at_s: float = 0.0, size: int = 256) -> Sent:
    return Sent(MsgId((seq or 0).to_bytes(16, "big")), seq, size, at_s)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12), st.integers(0, 30))
def test_whatever_counts_a_relay_says_each_envelope_is_taken_once_and_stored_once(
    acks: list[tuple[int, int]], count: int
) -> None:
    session = open_session()
    for seq in range(count):
        session.sent(sent(seq))
    taken: list[int | None] = []
    stored: list[int | None] = []
    for a, b in acks:
        newly_taken, newly_stored = session.acked(Ack(HANDLE, a, b, 3, 5), 1.0)
        taken += [envelope.seq for envelope in newly_taken]
        stored += [envelope.seq for envelope in newly_stored]
        assert session.stored <= session.taken <= count
    assert taken == list(range(len(taken)))
    assert stored == list(range(len(stored)))
    assert session.in_flight_bytes == 256 * (count - len(taken))
    assert session.pending_seqs() == [*range(len(stored), count)]


def test_what_is_answered_ten_seconds_late_leaves_the_time_to_wait_within_its_bounds() -> None:
    session = open_session()
    session.sent(sent(1))
    session.acked(Ack(HANDLE, 1, 1, 3, 5), 10.0)
    assert session.rto_s == RTO_MAX_S
    for n in range(60):
        session.sent(sent(n, at_s=20.0 + n))
        session.acked(Ack(HANDLE, n + 2, n + 2, 3, 5), 20.01 + n)
    assert session.rto_s == RTO_MIN_S


def test_a_session_is_in_use_when_it_pushes_announces_or_has_something_open() -> None:
    session = open_session()
    assert not session.in_use
    session.sent(sent(1))
    assert session.in_use
    session.acked(Ack(HANDLE, 1, 0, 1, 5), 0.1)
    assert session.in_use
    session.acked(Ack(HANDLE, 1, 1, 3, 5), 0.2)
    assert not session.in_use
    session.slice = Slice.ANNOUNCE
    assert session.in_use


def test_it_is_in_doubt_when_a_ping_or_an_envelope_is_unanswered_and_nothing_else_is_heard() -> None:
    session = open_session()
    session.sent(sent(1))
    assert session.is_slow(session.rto_s)
    assert not session.is_doubtful(RTO_MAX_S - 0.1)
    assert session.is_doubtful(RTO_MAX_S)
    session.heart.heard(1.0)  # a slow uplink is not a silent relay
    assert not session.is_doubtful(RTO_MAX_S)
    session.heart.unanswered = 1
    assert session.is_doubtful(1.0)
    assert (session.standing, session.is_suspect) == (1, False)
    session.heart.unanswered = 3
    assert (session.standing, session.is_suspect) == (2, True)
