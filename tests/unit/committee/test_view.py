"""A node's view of the relays: it grows by newer records, forgets expired ones, and keeps a bound on what it caches."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import Tag
from railgun_core.base.keys import Identity
from railgun_core.committee import view as view_module
from railgun_core.committee.epoch import DAY_S, make_clock
from railgun_core.committee.view import RelayView
from railgun_core.wire.records import (
    MAX_LIFETIME_S,
    Address,
    AddressKind,
    AnnouncementBody,
    PeerBody,
    PeerRole,
    Record,
    sign_record,
)
from tests.property.networks import NOW_S, relay_record, relay_records, view_of

CLOCK, EPOCH = make_clock(600), NOW_S // 600
TODAY = NOW_S // DAY_S
ONE = Identity(b"\x01" * 32)


class Restarting:
    """A relay that keeps mail, and its records before and after a start."""

    def __init__(self, identity: Identity, group: int) -> None:
        self._identity = identity
        self._body = PeerBody(
            (Address(AddressKind.DHT, f"10.{group}.0.1", 4_100),), PeerRole.RELAY | PeerRole.MAILBOX, "t", 1, 1
        )

    def pair(self, start_s: int, *, anew: bool) -> tuple[Record, Record]:
        """`start_s`: when it was back; `anew`: it does not say that it had served before."""
        old_s = NOW_S - 200_000
        again = replace(self._body, since_s=0 if anew else old_s)
        before = sign_record(
            self._identity, self._body, sequence=(NOW_S - 1_600) * 1000, not_before_s=old_s, expires_s=NOW_S + 200
        )
        after = sign_record(
            self._identity, again, sequence=start_s * 1000, not_before_s=start_s, expires_s=NOW_S + 1_700
        )
        return before, after


RESTARTS = [Restarting(Identity(bytes((40 + number,)) * 32), 50 + number // 2) for number in range(24)]


def test_two_views_that_merge_each_others_records_agree(rng: random.Random) -> None:
    records = relay_records(60, 40, rng)
    one, other = view_of(records[:40]), view_of(reversed(records[20:]))
    one.merge(other.records, NOW_S)
    other.merge(one.records, NOW_S)
    assert len(one) == len(other) == 60
    for _ in range(20):
        tag = Tag(rng.randbytes(32))
        drawn = one.committee(tag, EPOCH, size=5, clock=CLOCK)
        assert drawn == other.committee(tag, EPOCH, size=5, clock=CLOCK)


def test_an_older_record_never_replaces_a_newer_one() -> None:
    old, new = relay_record(ONE, 1, signed_s=NOW_S - 90), relay_record(ONE, 2, signed_s=NOW_S - 30)
    for order in ((old, new), (new, old)):
        view = view_of(order)
        assert view.get(ONE.peer_id) == new
    assert not view_of([new]).merge([old], NOW_S)


def test_a_renewal_that_changes_nothing_is_taken_without_a_new_draw(rng: random.Random) -> None:
    view = view_of([relay_record(ONE, 1, signed_s=NOW_S - 90), *relay_records(9, 9, rng)])
    version = view.version
    renewed = relay_record(ONE, 1, signed_s=NOW_S - 30)
    assert not view.merge([renewed], NOW_S)
    assert view.version == version
    assert view.get(ONE.peer_id) == renewed


def test_a_relay_that_moves_changes_the_view(rng: random.Random) -> None:
    view = view_of([relay_record(ONE, 1, signed_s=NOW_S - 90)])
    assert view.merge([relay_record(ONE, 2, signed_s=NOW_S - 30)], NOW_S)
    assert view.groups == 1


@given(data=st.data())
def test_members_agree_in_whatever_order_and_at_whatever_moment_they_hear_of_restarts(data: st.DataObject) -> None:
    """Who has heard of a restart and who has not draw the same committees, of every epoch; later both still do.

    A few relays went away for longer and begin anew: of these both have to have heard.
    """
    away = data.draw(st.sets(st.integers(0, 23), max_size=4))
    ended = data.draw(st.lists(st.integers(-1_500, -1), min_size=24, max_size=24))
    records = [RESTARTS[number].pair(NOW_S + ended[number], anew=number in away) for number in range(24)]
    both_know = [record for number in away for record in records[number]]
    views = []
    for _ in range(2):
        heard = [record for number in range(24) for record in records[number][: 1 + data.draw(st.booleans())]]
        views.append(view_of(data.draw(st.permutations([*both_know, *heard]))))
    one, other = views
    tags = [Tag(data.draw(st.binary(min_size=32, max_size=32))) for _ in range(2)]

    def agree() -> None:
        for epoch in range(EPOCH - 3, EPOCH + 2):
            for tag in tags:
                drawn = one.committee(tag, epoch, size=5, clock=CLOCK)
                assert drawn == other.committee(tag, epoch, size=5, clock=CLOCK)
        for day in (TODAY - 1, TODAY, TODAY + 1):
            assert one.mailboxes(tags[0], day) == other.mailboxes(tags[0], day)

    agree()
    for view in views:
        view.merge(data.draw(st.permutations([record for pair in records for record in pair])), NOW_S)
    agree()


def test_a_restart_takes_a_relay_out_of_no_committee_and_makes_its_links_new(rng: random.Random) -> None:
    view, tag = view_of(relay_records(40, 40, rng)), Tag(rng.randbytes(32))
    for number in range(60):
        restarting = Restarting(Identity(rng.randbytes(32)), 100 + number)
        before, after = restarting.pair(NOW_S - 20, anew=False)
        view.merge([before], NOW_S)
        drawn = view.committee(tag, EPOCH, size=5, clock=CLOCK)
        assert view.merge([after], NOW_S)  # others dial it again
        assert view.committee(tag, EPOCH, size=5, clock=CLOCK) == drawn


def test_a_peer_that_stops_relaying_leaves_the_view() -> None:
    view = view_of([relay_record(ONE, 1, signed_s=NOW_S - 90)])
    assert view.merge([relay_record(ONE, 1, signed_s=NOW_S - 30, roles=PeerRole.TESTER)], NOW_S)
    assert len(view) == 0
    assert view.groups == 0


def test_what_is_no_live_relay_record_is_not_taken(rng: random.Random) -> None:
    seat = AnnouncementBody(Tag(bytes(32)), EPOCH, 0, 0, ())
    times = {"sequence": NOW_S * 1000, "not_before_s": NOW_S, "expires_s": NOW_S + 60}
    for record in (
        sign_record(ONE, seat, **times),
        relay_record(ONE, 1, roles=PeerRole.MIX),
        relay_record(ONE, 1, expires_s=NOW_S - 200),
        relay_record(ONE, 1, signed_s=NOW_S + 200, since_s=NOW_S),
        relay_record(ONE, 1, expires_s=NOW_S + MAX_LIFETIME_S),
    ):
        assert len(view_of([record])) == 0


def test_a_relay_without_a_dht_address_has_no_group_and_no_seat() -> None:
    """Only that address was proved to those who store the record; any other could be claimed for its group."""
    body = PeerBody((Address(AddressKind.QUIC, "127.9.0.1", 4_100),), PeerRole.RELAY, "", 1, 1)
    record = sign_record(ONE, body, sequence=NOW_S * 1000, not_before_s=NOW_S - 900, expires_s=NOW_S + 60)
    assert len(view_of([record])) == 0


def test_a_key_that_does_not_pay_the_puzzle_is_not_taken(rng: random.Random) -> None:
    view = RelayView(by_port=False, puzzle_bits=200)
    assert not view.merge(relay_records(5, 5, rng), NOW_S)


def test_expired_relays_are_forgotten_after_the_slack() -> None:
    view = view_of([relay_record(ONE, 1, expires_s=NOW_S + 10)])
    assert not view.expire(NOW_S + 129)
    assert view.expire(NOW_S + 130)
    assert len(view) == 0


def test_a_committee_is_drawn_anew_when_the_view_changes(rng: random.Random) -> None:
    records = relay_records(40, 40, rng)
    view, tag = view_of(records), Tag(rng.randbytes(32))
    before = view.committee(tag, EPOCH, size=5, clock=CLOCK)
    assert view.committee(tag, EPOCH, size=5, clock=CLOCK) is before
    gone = Identity(b"\x05" * 32)
    view.merge([relay_record(gone, 300)], NOW_S)
    assert view.committee(tag, EPOCH, size=5, clock=CLOCK) is not before


def test_questions_for_any_number_of_tags_keep_a_bounded_number_of_committees(rng: random.Random) -> None:
    view = view_of(relay_records(6, 6, rng))
    for _ in range(view_module.MAX_CACHED + 50):
        view.committee(Tag(rng.randbytes(32)), EPOCH, size=3, clock=CLOCK)
    assert len(view._cache) == view_module.MAX_CACHED


def test_no_more_relays_are_kept_than_the_bound(rng: random.Random) -> None:
    records = relay_records(12, 12, rng)
    before, view_module.MAX_RELAYS = view_module.MAX_RELAYS, 10
    try:
        assert len(view_of(records)) == 10
    finally:
        view_module.MAX_RELAYS = before


def test_evidence_begins_with_the_roster_and_holds_every_relay_once(rng: random.Random) -> None:
    records = relay_records(30, 20, rng)
    view = view_of(records)
    drawn = view.committee(Tag(rng.randbytes(32)), EPOCH, size=5, clock=CLOCK)
    evidence = view.evidence(drawn)
    assert evidence[:8] == view.committee_records(drawn)
    assert sorted(evidence) == sorted(record.raw for record in records)
