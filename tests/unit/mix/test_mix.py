"""The mix: what may pass, when it leaves, and what becomes of everything else."""

from __future__ import annotations

import math
import random

import pytest

from railgun_core.base.ids import Group, LinkId, PeerId
from railgun_core.changes import MixTagsAdd
from railgun_core.events import Effect
from railgun_core.mix.mix import LOOP_SLACK_S, MixLimits
from railgun_core.mix.sphinx import (
    PACKET_BYTES,
    PAYLOAD_BYTES,
    Hop,
    new_packet,
    new_surb,
    packet_from_surb,
    public_key,
    unwrap,
)
from railgun_core.mix.topology import MAX_DELAYS_MS, MixNode, draw_delays, stratum_of
from railgun_core.wire.frames import PACKET_BYTES as FRAME_PACKET_BYTES
from tests.unit.mix.mix_desk import CLIENT, GENEROUS, NEXT, NEXT_LINK, NEXT_PRIVATE, OWN, UNIX_S, Desk, packet_in

FAR = PeerId(b"F" * 32)
FAR_LINK = LinkId(9)
ROOMY = MixLimits(packets_per_s=1_000_000, burst=1_000_000, waiting=20_000, waiting_per_link=20_000)


def to_far(desk: Desk, delay_ms: int = 0) -> bytes:
    """A packet through the mix to a relay without a link."""
    return new_packet([desk.hop(delay_ms), Hop(FAR, public_key(b"f" * 32))], b"x", rng=desk.rng)


def test_the_packet_of_a_frame_is_a_sphinx_packet() -> None:
    assert FRAME_PACKET_BYTES == PACKET_BYTES


def test_a_packet_leaves_for_its_next_hop_at_its_time_and_opens_there() -> None:
    desk = Desk()
    packet = desk.through(delay_ms=220, payload=b"hello")
    desk.hear(packet)
    desk.run(0.219)
    assert desk.sent == []
    assert desk.mix.status(desk.now).pool == 1
    desk.run(2.0)
    ((at_s, link, chunk),) = desk.sent
    assert (at_s, link) == (pytest.approx(1_000.222), NEXT_LINK)  # two for the disk
    assert (unwrap(NEXT_PRIVATE, packet_in(chunk)).payload or b"").startswith(b"hello\x00")
    status = desk.mix.status(desk.now)
    assert (status.packets, status.pool, status.late, status.malformed) == (1, 0, 0, 0)


def test_a_hop_without_delay_sends_as_soon_as_the_tag_is_saved() -> None:
    desk = Desk(save_s=0.050)
    desk.hear(desk.through())
    desk.run(1.0)
    assert [at_s for at_s, _, _ in desk.sent] == [pytest.approx(1_000.050)]


def test_the_tags_of_one_read_are_one_save_and_its_packets_one_send() -> None:
    desk = Desk()
    packets = [desk.through() for _ in range(5)]
    desk.saves.clear()
    desk.hear(*packets)
    desk.run(1.0)
    (save,) = desk.saves
    (change,) = save.changes
    assert isinstance(change, MixTagsAdd)
    assert (change.period, len(change.tags)) == (int(UNIX_S // 1_800), 5 * 16)
    assert [len(send.chunks) for send in desk.sends] == [5]


def test_without_a_flush_the_next_tick_saves() -> None:
    desk, out = Desk(), list[Effect]()
    packet = desk.through()
    desk.mix.packet(CLIENT, packet, desk.now, out)
    assert out == []
    assert desk.mix.timers.next_s() == desk.now.mono_s
    desk.run(0.1)
    assert len(desk.sent) == 1


def test_what_ends_here_arrives_and_what_is_for_a_client_is_delivered() -> None:
    desk = Desk()
    surb, _ = new_surb([desk.hop()], recipient=b"c" * 32, reply_id=b"i" * 16, rng=desk.rng)
    first, reply = packet_from_surb(surb, b"reply")
    assert first == OWN
    desk.hear(desk.terminal(b"here"), desk.terminal(b"loop", recipient=b"r" * 32), reply)
    desk.run(0.1)
    assert [payload.rstrip(b"\x00") for _, payload in desk.arrived] == [b"here"]
    (plain, answered) = desk.delivered
    assert plain == (b"r" * 32, b"", b"loop".ljust(PAYLOAD_BYTES, b"\x00"))
    assert (answered[:2], len(answered[2])) == ((b"c" * 32, b"i" * 16), PAYLOAD_BYTES + 32)
    assert desk.sent == []


def test_a_replay_is_refused_at_once_and_while_waiting_and_after() -> None:
    desk = Desk()
    packet = desk.through(delay_ms=300)
    desk.hear(packet, packet)
    desk.run(0.1)
    desk.hear(packet, link=LinkId(2))
    desk.run(1.0)
    desk.hear(packet)
    desk.run(1.0)
    assert len(desk.sent) == 1
    assert desk.mix.status(desk.now).replayed == 3


def test_a_replay_is_refused_after_a_restart() -> None:
    desk = Desk()
    packet = desk.through()
    desk.hear(packet)
    desk.run(0.1)
    again = Desk(disk=desk.disk, seed=2)
    assert again.mix.published_key == desk.mix.published_key
    again.hear(packet, again.through())
    again.run(0.1)
    assert len(again.sent) == 1
    assert again.mix.status(again.now).replayed == 1


def test_a_packet_whose_tag_was_not_saved_before_the_crash_passes_once_after() -> None:
    desk = Desk(save_s=None)
    packet = desk.through()
    desk.hear(packet)
    desk.run(0.5)
    again = Desk(disk=desk.disk, seed=2)
    again.hear(packet, packet)
    again.run(0.1)
    assert (desk.sent, len(again.sent)) == ([], 1)


def test_after_a_restored_backup_the_old_keys_open_nothing() -> None:
    desk = Desk()
    packet, old_key = desk.through(), desk.mix.published_key
    again = Desk(disk=desk.disk, seed=2, restored_backup=True)
    assert again.mix.published_key != old_key
    again.hear(packet, again.through())
    again.run(0.1)
    assert (len(again.sent), again.mix.status(again.now).malformed) == (1, 1)
    assert len(again.disk.secrets) == 1


def test_packets_under_the_last_key_pass_and_those_under_older_ones_do_not() -> None:
    desk = Desk()
    first = [desk.through() for _ in range(2)]
    desk.run(1_801.0)
    second = [desk.through() for _ in range(2)]
    desk.hear(first[0], second[0], first[0])
    desk.run(1_800.0)
    assert (len(desk.sent), desk.mix.status(desk.now).replayed) == (2, 1)
    desk.hear(first[1], second[1], desk.through())
    desk.run(1.0)
    status = desk.mix.status(desk.now)
    assert (len(desk.sent), status.malformed) == (4, 1)
    assert len(desk.disk.secrets) == 2
    assert {entry.period for entry in desk.disk.tags} <= {int(UNIX_S // 1_800) + 1, int(UNIX_S // 1_800) + 2}


def test_a_key_is_published_only_when_it_is_durable() -> None:
    desk = Desk()
    old = desk.mix.published_key
    desk.save_s = None
    desk.run(1_801.0)
    assert desk.mix.published_key == old
    desk.save_all()
    assert desk.mix.published_key == desk.mix.keyring.public_key(desk.now) != old


def test_a_clock_that_jumps_is_followed_with_the_next_packet() -> None:
    desk = Desk()
    packet = desk.through()
    desk.now = type(desk.now)(desk.now.mono_s, desk.now.unix_s + 2 * 1_800)
    desk.hear(packet)
    desk.run(0.1)
    assert desk.mix.status(desk.now).malformed == 1
    desk.hear(desk.through())
    desk.run(0.1)
    assert len(desk.sent) == 1


@pytest.mark.parametrize("size", [0, 100, PACKET_BYTES - 1, PACKET_BYTES + 1])
def test_bytes_of_another_size_are_counted_and_nothing_else(size: int) -> None:
    desk = Desk()
    desk.hear(bytes(size))
    assert desk.mix.status(desk.now).malformed == 1


def test_noise_foreign_packets_and_too_long_delays_die_and_the_link_lives() -> None:
    desk = Desk()
    foreign = new_packet([Hop(OWN, public_key(b"z" * 32)), Hop(NEXT, public_key(b"y" * 32))], b"x", rng=desk.rng)
    patient = desk.through(delay_ms=MAX_DELAYS_MS + 1)
    desk.hear(desk.rng.randbytes(PACKET_BYTES), foreign, patient, desk.through(delay_ms=MAX_DELAYS_MS))
    desk.run(5.0)
    status = desk.mix.status(desk.now)
    assert (status.malformed, status.packets, status.pool, len(desk.sent)) == (3, 1, 0, 1)


def test_the_delay_begins_when_the_tag_is_durable_so_that_a_slow_disk_drops_no_short_ones() -> None:
    desk = Desk(save_s=0.050)
    desk.hear(desk.through(delay_ms=10), desk.through(delay_ms=40))
    desk.run(1.0)
    assert [at_s for at_s, _, _ in desk.sent] == [pytest.approx(1_000.060), pytest.approx(1_000.090)]
    assert desk.mix.status(desk.now).late == 0


def test_a_tick_that_comes_too_late_drops_the_packet() -> None:
    desk = Desk()
    desk.hear(desk.through(delay_ms=100))
    desk.run(0.05)
    desk.now = desk.now.after(0.073)
    desk.run(1.0)
    assert (desk.sent, desk.mix.status(desk.now).late) == ([], 1)


def test_a_dial_runs_while_the_packet_waits() -> None:
    desk = Desk()
    desk.hear(to_far(desk, 200))
    assert desk.dialled == [FAR]
    desk.run(0.15)
    desk.link_up(FAR, FAR_LINK)
    desk.run(0.1)
    assert [(at_s, link) for at_s, link, _ in desk.sent] == [(pytest.approx(1_000.202), FAR_LINK)]


def test_a_link_may_come_20_ms_after_the_time_and_not_later() -> None:
    desk = Desk()
    desk.hear(to_far(desk, 100), to_far(desk, 120))
    desk.run(0.130)
    desk.link_up(FAR, FAR_LINK)
    desk.run(1.0)
    assert [at_s for at_s, _, _ in desk.sent] == [pytest.approx(1_000.130)]
    assert desk.mix.status(desk.now).late == 1


def test_a_hop_without_delay_waits_a_second_for_its_link() -> None:
    desk = Desk()
    desk.hear(to_far(desk))
    desk.run(0.9)
    desk.link_up(FAR, FAR_LINK)
    assert [at_s for at_s, _, _ in desk.sent] == [pytest.approx(1_000.9)]
    del desk.links[FAR]
    desk.hear(to_far(desk))
    desk.run(1.1)
    assert (len(desk.sent), desk.mix.status(desk.now).late, desk.mix.status(desk.now).pool) == (1, 1, 0)


def test_a_lost_link_loses_what_no_other_link_takes_in_time() -> None:
    desk = Desk()
    desk.hear(desk.through(delay_ms=100), desk.through(delay_ms=400))
    desk.run(0.05)
    del desk.links[NEXT]
    desk.mix.link_down(NEXT_LINK)
    desk.run(0.2)
    assert desk.mix.status(desk.now).late == 1
    desk.link_up(NEXT, LinkId(70))
    desk.run(0.5)
    assert [link for _, link, _ in desk.sent] == [LinkId(70)]


def test_the_pool_holds_300_and_drops_the_rest() -> None:
    desk = Desk()
    for link in range(1, 32):
        desk.hear(*(desk.through(delay_ms=1_000) for _ in range(10)), link=LinkId(link))
    status = desk.mix.status(desk.now)
    assert (status.pool, status.full, status.packets) == (300, 10, 300)
    desk.run(1.5)
    desk.hear(desk.through())
    desk.run(0.1)
    assert (len(desk.sent), desk.mix.status(desk.now).pool) == (301, 0)


def test_one_link_fills_a_third_of_the_pool_and_others_still_pass() -> None:
    desk = Desk()
    desk.hear(*(desk.through(delay_ms=MAX_DELAYS_MS) for _ in range(150)), link=LinkId(66))
    desk.hear(*(desk.through(delay_ms=100) for _ in range(50)))
    desk.run(0.2)
    assert (len(desk.sent), desk.mix.status(desk.now).full) == (50, 50)
    desk.run(2.0)
    assert (len(desk.sent), desk.mix.status(desk.now).pool) == (150, 0)


def test_a_disk_that_stands_still_fills_the_pool_and_no_more() -> None:
    desk = Desk(save_s=None, limits=MixLimits(packets_per_s=1_000, burst=1_000, waiting=20))
    for _ in range(30):
        desk.hear(desk.through())
    assert (desk.mix.status(desk.now).pool, desk.mix.status(desk.now).full) == (20, 10)


def test_a_link_sends_no_more_than_its_rate_and_takes_nothing_from_others() -> None:
    desk = Desk(limits=MixLimits(packets_per_s=10, burst=20))
    flood = [desk.rng.randbytes(PACKET_BYTES) for _ in range(50)]
    desk.hear(*flood, link=LinkId(66))
    desk.hear(*(desk.through() for _ in range(5)))
    desk.run(1.0)
    status = desk.mix.status(desk.now)
    assert (status.malformed, status.full, status.packets) == (20, 30, 5)
    desk.hear(*flood, link=LinkId(66))
    assert desk.mix.status(desk.now).malformed == 30
    desk.mix.link_down(LinkId(66))
    assert desk.mix.status(desk.now).pool == 0


def test_a_packet_made_here_leaves_at_once_or_waits_for_its_link() -> None:
    desk, out = Desk(), list[Effect]()
    packet = bytes(PACKET_BYTES)
    desk.mix.send(NEXT, packet, desk.now, out)
    desk.mix.send(FAR, packet, desk.now, out)
    desk.carry_out(out)
    assert [link for _, link, _ in desk.sent] == [NEXT_LINK]
    desk.link_up(FAR, FAR_LINK)
    assert [link for _, link, _ in desk.sent] == [NEXT_LINK, FAR_LINK]


def test_a_packet_whose_next_hop_is_here_again_is_opened_again() -> None:
    desk = Desk()
    packet = new_packet([desk.hop(), desk.hop(5), desk.hop()], b"round", rng=desk.rng)
    desk.hear(packet)
    desk.run(0.1)
    assert [payload.rstrip(b"\x00") for _, payload in desk.arrived] == [b"round"]
    assert (desk.sent, desk.dialled) == ([], [])


# ---------------------------------------------------------------- own loops


def mixes(count: int, rng: random.Random) -> list[MixNode]:
    """Mixes of groups of their own, some in each stratum."""
    nodes = [MixNode(PeerId(rng.randbytes(32)), Group(bytes((n, n))), rng.randbytes(32), 0.0) for n in range(count)]
    assert {stratum_of(node.peer_id, int(UNIX_S // 86_400)) for node in nodes} == {0, 1, 2}
    return nodes


def test_an_idle_mix_sends_a_loop_in_a_hundred_seconds_and_notices_its_return(rng: random.Random) -> None:
    privates = {PeerId(rng.randbytes(32)): rng.randbytes(32) for _ in range(12)}
    nodes = [MixNode(p, Group(bytes((n, 0))), public_key(k), 0.0) for n, (p, k) in enumerate(privates.items())]
    desk = Desk(mixes=nodes, at_s=1_000.0)
    by_link = {LinkId(100 + n): peer_id for n, peer_id in enumerate(privates)}
    desk.links |= {peer_id: link for link, peer_id in by_link.items()}
    desk.run(10_000.0)
    assert 70 <= len(desk.sent) <= 130
    assert desk.mix.watch.share == 0.0  # nobody carried them
    assert desk.mix.watch.alarm
    desk.sent.clear()
    while not desk.sent:
        desk.run(0.1)
    ((_, link, chunk),) = desk.sent
    hop, packet, groups = by_link[link], packet_in(chunk), []
    for _ in range(3):
        layer = unwrap(privates[hop], packet)
        assert layer.packet is not None
        assert layer.next_hop is not None
        groups.append(next(node.group for node in nodes if node.peer_id == hop))
        hop, packet = PeerId(layer.next_hop), layer.packet
    assert (hop, len(set(groups))) == (OWN, 3)
    before = desk.mix.watch.share or 0.0
    desk.hear(packet)
    desk.run(0.01)
    assert desk.arrived == []
    assert (desk.mix.watch.share or 0.0) > before


def test_a_mix_with_traffic_sends_a_loop_for_twenty_packets_and_a_tenth_a_second_at_most(rng: random.Random) -> None:
    for packets_per_s, low, high in ((1, 1, 15), (4, 12, 36)):
        desk = Desk(mixes=mixes(12, rng))
        for _ in range(260):
            desk.hear(*(desk.through(delay_ms=5) for _ in range(packets_per_s)))
            desk.run(1.0)
        loops = desk.mix.watch.settled + desk.mix.watch.open
        assert low <= loops <= high


def test_there_are_no_loops_with_fewer_than_three_others(rng: random.Random) -> None:
    own = MixNode(OWN, Group(b"oo"), b"k" * 32, 0.0)
    desk = Desk(mixes=[own, *mixes(12, rng)[:2]])
    desk.run(300.0)
    assert (desk.sent, desk.dialled, desk.mix.watch.share) == ([], [], None)


def test_a_loop_is_given_up_a_while_after_its_delays(rng: random.Random) -> None:
    desk = Desk(mixes=mixes(12, rng))
    while not desk.dialled:
        desk.run(0.1)
    due_s = desk.mix.watch.next_s()
    assert due_s is not None
    assert LOOP_SLACK_S - 0.2 <= due_s - desk.now.mono_s <= LOOP_SLACK_S + MAX_DELAYS_MS / 1000


# ---------------------------------------------------------------- figures


def test_the_load_is_that_of_delayed_packets_over_the_last_minute() -> None:
    desk = Desk()
    for _ in range(60):
        desk.hear(desk.through(delay_ms=5), desk.through())
        desk.run(1.0)
    assert desk.mix.status(desk.now).per_s == pytest.approx(1.0, abs=0.04)
    assert desk.mix.load_for_record(desk.now) in (9, 10)
    desk.run(61.0)
    assert desk.mix.load_for_record(desk.now) == 0
    assert desk.mix.status(desk.now).packets == 120


def kolmogorov_smirnov(sample: list[float], mean: float) -> float:
    """The p-value of a sample against the exponential law of that mean (asymptotic series)."""
    ordered, n = sorted(sample), len(sample)
    laws = [1 - math.exp(-x / mean) for x in ordered]
    distance = max(max((i + 1) / n - law, law - i / n) for i, law in enumerate(laws))
    root = math.sqrt(n) * distance
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * root) ** 2) for k in range(1, 101))))


def test_ten_thousand_packets_keep_the_delays_their_senders_drew(rng: random.Random) -> None:
    desk = Desk(limits=ROOMY, save_s=0.004)
    came: dict[bytes, tuple[float, int]] = {}
    kept: list[float] = []
    for number in range(10_000):
        delay_ms = max(1, draw_delays(rng)[number % 3])
        packet = desk.terminal(number.to_bytes(4, "big"), delay_ms=delay_ms)
        came[number.to_bytes(4, "big")] = (desk.now.mono_s, delay_ms)
        desk.hear(packet)
        desk.run(rng.expovariate(100.0))
    desk.run(5.0)
    for at_s, payload in desk.arrived:
        since_s, delay_ms = came.pop(payload[:4])
        held_s = at_s - since_s - desk.save_s
        assert abs(held_s - delay_ms / 1000) <= GENEROUS.late_s
        kept.append(1_000 * held_s + rng.uniform(-0.5, 0.5))  # delays are whole ms
    assert came == {}
    # A delay drawn as 0 was made 1 above; from 2 ms on the law is the senders', and it has no memory.
    assert kolmogorov_smirnov([delay - 2 for delay in kept if delay > 2], 220.0) > 0.01
    status = desk.mix.status(desk.now)
    assert (status.packets, status.late, status.full, status.malformed) == (10_000, 0, 0, 0)
