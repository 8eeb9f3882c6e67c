"""The client as a whole, against a network that really opens every layer."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import DialId, LinkId, PeerId
from railgun_core.events import Effect
from railgun_core.mix.cover import FRAME_BYTES, MONTH_S, gb_for
from railgun_core.mix.parcel import POST_BYTES, ParcelKind
from railgun_core.wire.frames import PACKET_BYTES, Cell, CellKind, FrameSplitter, Packet, Ping
from tests.unit.mix.client_desk import Desk


@pytest.fixture
def desk(rng: random.Random) -> Desk:
    return Desk(rng)


def test_a_post_reaches_its_relay_and_its_answer_comes_back(desk: Desk) -> None:
    desk.on(rate=4.0)
    answers = desk.post(b"words", desk.relay().peer_id)
    desk.until(lambda: answers, 10)
    assert desk.posted() == [b"words"]
    assert answers == [b"ok word"]
    assert desk.client.unsettled == 0
    assert 0 < desk.measured[0] < 5_000


def test_everything_that_leaves_and_comes_has_one_size_and_every_packet_brings_one_back(desk: Desk) -> None:
    desk.on(rate=8.0, settle_s=8.0)
    for n in range(40):
        desk.post(bytes((n,)) * POST_BYTES, desk.relay().peer_id)
    sent = len(desk.seen)
    desk.until(lambda: not desk.client.unsettled, 20)
    desk.client.set_rate(0.0, desk.at)
    desk.run(10)
    assert {len(seen.frame) for seen in desk.seen} == {PACKET_BYTES + 5}
    assert len(desk.posted()) == 40
    assert len(desk.deliveries) == len(desk.seen) > sent + 40 > 80


def test_a_path_has_five_hops_of_distinct_groups_between_guard_and_relay(desk: Desk) -> None:
    desk.on(rate=8.0, settle_s=15.0)
    guard = desk.client.guard_link(desk.at)
    assert guard is not None
    there = [path for path in desk.paths if path[0] == desk.guards[guard]]
    loops = [path for path in there if path[-1] == path[0]]
    assert len(there) > 80
    assert loops
    for path in desk.paths:
        mixes = path[-4:-1]
        assert len({desk.nodes[p].group for p in {*mixes, path[0], path[-1]}}) == len({*mixes, path[0], path[-1]})
        assert len(set(mixes)) == 3
    assert {len(path) for path in desk.paths} == {5, 4}  # with the guard in front, and answers


def test_a_lost_post_goes_again_over_another_path_and_is_answered_once(desk: Desk) -> None:
    drop = iter([True, True])
    desk.on(rate=0.0)
    answers = desk.post(b"again", desk.relay().peer_id)
    desk.loss = lambda: next(drop, False)
    for _ in range(3):
        desk.client._slot_s = desk.at.mono_s
        desk.act(desk.client._slot)
        desk.run(12)
    desk.run(60)
    assert desk.counts["lost"] == 2
    assert answers == [b"ok agai"]


def test_a_duplicate_reply_and_one_after_the_answer_are_noise(desk: Desk) -> None:
    slow = 0

    def answer(body: bytes) -> bytes | None:
        nonlocal slow
        slow += 1
        return None if slow == 1 else b"late"

    desk.answer = answer
    desk.on(rate=4.0)
    answers = desk.post(b"twice", desk.relay().peer_id)
    desk.until(lambda: answers, 30)
    desk.run(3)
    assert answers == [b"late"]
    assert desk.posted() == [b"twice", b"twice"]


def test_after_four_more_tries_a_post_is_answered_by_nothing(desk: Desk) -> None:
    desk.answer = lambda body: None
    desk.on(rate=4.0)
    answers = desk.post(b"lost", desk.relay().peer_id)
    desk.until(lambda: answers, 60)
    assert answers == [None]
    assert desk.posted() == [b"lost"] * 5
    paths = [tuple(path) for path in desk.paths if path[-1] == desk.relay().peer_id]
    assert len(set(paths)) >= 5


def test_a_cancelled_post_stays_home_and_nobody_is_told(desk: Desk) -> None:
    desk.on()
    answers: list[bytes | None] = []
    number = desk.client.post(b"x", desk.relay().peer_id, lambda r, now, out: answers.append(r), desk.at, [])
    assert number is not None
    desk.client.cancel(number)
    desk.client.set_rate(4.0, desk.at)
    desk.run(5)
    assert (answers, desk.posted(), desk.client.unsettled) == ([], [], 0)


def test_a_post_for_a_relay_without_a_known_key_is_given_up_and_holds_nobody_up(desk: Desk) -> None:
    desk.on(rate=4.0)
    lost = desk.post(b"nobody", PeerId(b"?" * 32))
    answers = desk.post(b"words", desk.relay().peer_id)
    desk.until(lambda: answers, 10)
    assert (answers, lost) == ([b"ok word"], [])
    desk.until(lambda: lost, 20)
    assert lost == [None]


def test_what_waits_is_answered_by_nothing_when_the_mixnet_is_switched_off(desk: Desk) -> None:
    desk.on()
    answers = desk.post(b"x", desk.relay().peer_id)
    out: list[Effect] = []
    desk.client.wanted(desk.at, out, on=False)
    desk.carry(out)
    assert answers == [None]
    desk.run(1)
    assert desk.guards == {}
    assert desk.client.timers.next_s() is None
    assert desk.client.post(b"x", desk.relay().peer_id, lambda r, now, o: None, desk.at, []) is None


def test_a_post_that_is_too_long_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="long"):
        desk.client.post(bytes(POST_BYTES + 1), desk.relay().peer_id, lambda r, now, out: None, desk.at, [])


def test_a_guard_that_goes_is_followed_by_another_and_the_posts_arrive(desk: Desk) -> None:
    desk.on(rate=8.0)
    first = desk.client.guard_link(desk.at)
    assert first is not None
    answers = [desk.post(bytes((n,)) * 8, desk.relay().peer_id) for n in range(12)]
    desk.run(0.5)
    desk.deaf.add(desk.guards[first])
    desk.cut(first)
    assert desk.client.guard_link(desk.at) is None
    desk.run(0.2)
    second = desk.client.guard_link(desk.at)
    assert second not in (None, first)
    desk.until(lambda: all(answers), 40)
    assert all(answer == [b"ok " + bytes((n,)) * 4] for n, answer in enumerate(answers))
    assert len(set(desk.dialled)) == 2
    assert desk.client.guards_tried_today(desk.at) == 2


def test_a_guard_that_has_gone_silent_is_noticed_and_left(desk: Desk) -> None:
    desk.on(rate=5.0)
    first = desk.client.guard_link(desk.at)
    desk.sealed = True
    desk.run(25)
    desk.sealed = False
    desk.run(2)
    assert desk.client.guard_link(desk.at) not in (None, first)


def test_packets_that_mixes_swallow_do_not_cost_the_guard_its_place(desk: Desk) -> None:
    desk.on(rate=2.0)
    first = desk.client.guard_link(desk.at)
    desk.loss = lambda: True
    desk.run(120)
    assert desk.client.guard_link(desk.at) == first
    assert desk.client.anonymity(desk.at).alarm


def test_a_quiet_link_asks_for_a_sign_of_life_before_it_is_closed_for_silence(desk: Desk) -> None:
    desk.on(rate=0.0)
    before, heard = desk.counts["ASK_RECORDS"], desk.client.guard_link(desk.at)
    desk.run(300)
    assert desk.client.guard_link(desk.at) == heard
    assert 5 <= desk.counts["ASK_RECORDS"] - before <= 7  # one in 45 s


def test_the_link_costs_what_was_quoted(desk: Desk) -> None:
    desk.on(rate=0.6, settle_s=10.0)
    start, frames = desk.at.mono_s, desk.frames
    while desk.at.mono_s < start + 600:
        desk.directory = [node.record(desk.at.unix_s) for node in desk.nodes.values()]
        desk.run(300)
    gb_month = (desk.frames - frames) * FRAME_BYTES * MONTH_S / (desk.at.mono_s - start) / 1e9
    assert gb_month == pytest.approx(gb_for(0.6), rel=0.12)
    assert desk.client.anonymity(desk.at).gb_month == gb_for(0.6)


def test_relay_records_come_over_the_guard_until_enough_mixes_are_known(rng: random.Random) -> None:
    desk = Desk(rng)
    desk.known = desk.directory[:4]
    desk.on()
    desk.run(30)
    assert {record.peer_id for record in desk.found} == {record.peer_id for record in desk.directory[4:]}
    assert desk.client.anonymity(desk.at).mixes == 36
    asked = desk.counts["ASK_RECORDS"]
    desk.run(500)
    assert desk.counts["ASK_RECORDS"] - asked <= 13


def test_records_that_do_not_verify_or_were_not_asked_for_are_left_out(desk: Desk) -> None:
    desk.known = desk.directory[:6]
    forged = [bytearray(record.raw) for record in desk.directory[6:8]]
    for raw in forged:
        raw[-1] ^= 1
    desk.on()
    link = desk.client.guard_link(desk.at)
    assert link is not None
    found = len(desk.found)
    line = desk.client._line
    assert line is not None
    body = b"".join(len(raw).to_bytes(2, "big") + raw for raw in (*forged, desk.directory[9].raw))
    cell = Cell(CellKind.RECORDS, 0, bytes(4) + bytes((3,)) + body)
    desk.found = []
    desk.hand(link, cell.encode())
    assert [record.peer_id for record in desk.found] == [desk.directory[9].peer_id]
    desk.found, line.welcome = [], 0
    desk.hand(link, cell.encode())
    assert (desk.found, found > 0) == ([], True)


@pytest.mark.parametrize(
    "frame",
    [
        Packet(bytes(PACKET_BYTES)).encode(),
        Ping(1).encode(),
        Cell(CellKind.REGISTER, 0, bytes(32)).encode(),
        Cell(CellKind.ASK_RECORDS, 0, bytes(4)).encode(),
        Cell(CellKind.CONNECT, 1, bytes(32)).encode(),
        Cell(CellKind.DELIVERY, 0, bytes(40)).encode(),
    ],
)
def test_what_no_guard_sends_is_refused(desk: Desk, frame: bytes) -> None:
    desk.on()
    link = desk.client.guard_link(desk.at)
    assert link is not None
    batch = FrameSplitter().feed(frame)
    assert batch is not None
    with pytest.raises(MalformedFrame):
        desk.client.frames(link, batch, desk.at, [])


def test_the_cells_of_a_tunnel_are_for_the_rim(desk: Desk) -> None:
    desk.on()
    link = desk.client.guard_link(desk.at)
    assert link is not None
    desk.hand(link, Cell(CellKind.DATA, 3, b"x").encode())
    assert [(cell.link, cell.cell.stream) for cell in desk.tunnelled] == [(link, 3)]


def test_links_and_dials_of_others_are_left_to_others(desk: Desk) -> None:
    desk.on()
    assert not desk.client.link_down(LinkId(999), desk.at, [])
    assert not desk.client.dial_failed(DialId(999), desk.at, [])


def test_in_a_secure_room_some_of_the_cover_goes_to_its_own_committee(rng: random.Random) -> None:
    desk = Desk(rng, dummy=lambda now: (desk.relay().peer_id, b"dummy"))
    desk.on(rate=20.0, settle_s=15.0)
    kinds = Counter(parcel.kind for _, parcel in desk.parcels)
    assert 0.03 < kinds[ParcelKind.POST] / sum(kinds.values()) < 0.17
    assert set(desk.posted()) == {b"dummy"}


def test_the_meter_says_what_is_lacking_until_nothing_is(rng: random.Random) -> None:
    desk = Desk(rng, mixes=36)
    assert desk.client.anonymity(desk.at).why == "Nothing is sent through mixes."
    desk.deaf = set(desk.nodes)
    desk.on()
    assert desk.client.anonymity(desk.at).why == "No guard can be reached."
    desk.deaf = set()
    desk.run(120)
    desk.client.set_rate(3.0, desk.at)
    desk.post(b"x", desk.relay().peer_id)
    desk.until(lambda: desk.client.anonymity(desk.at).loops >= 2, 90)
    report = desk.client.anonymity(desk.at)
    assert (report.anonymous, report.why, report.mixes, report.groups) == (True, "", 36, 36)
    assert report.guards == 1
    assert report.loop_return == 1.0
    assert report.entropy_bits is not None
    assert report.entropy_bits > 8


def test_a_client_without_enough_mixes_sends_nothing_and_says_so(rng: random.Random) -> None:
    desk = Desk(rng, mixes=2)
    desk.on(rate=20.0, settle_s=10.0)
    answers = desk.post(b"x", desk.relay().peer_id)
    desk.run(5)
    assert desk.seen == []
    assert desk.client.anonymity(desk.at).why == "2 mixes are known; 32 are needed."
    desk.run(700)
    assert answers == [None]
