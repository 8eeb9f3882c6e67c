"""The figures of a demo, asked from its peers at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from railgun_core.base.errors import RailGunError
from railgun_core.demo.figures import quantiles
from railgun_core.demo.peers import PeerProcess
from railgun_core.demo.traffic import DemoRoom, Traffic
from railgun_core.local_api.messages import Counters, InspectArgs, Inspection, Inspections

if TYPE_CHECKING:
    from railgun_core.demo.plan import Network

FAILOVER_WITHIN_S = 10.0


async def report(network: Network, traffic: Traffic, wall_s: float) -> dict[str, object]:
    """Everything that the command promises (cli.md), from counters and from what arrived."""
    options = network.options
    counters = [await _counters(peer) for peer in network.alive]
    committees = await check_committees(network)
    sizes = {int(size) for c in counters for size in c.sizes}
    rounds = await _rounds(network, traffic) if options.kills else {}
    failed = [*traffic.failures[:3], *([f"{traffic.unstored} not stored"] if traffic.unstored else [])]
    if not committees["agree"] and not options.kills:  # views differ for a while after relays come and go
        failed.append("members disagree about a committee")
    return {
        "peers": options.peers,
        "rooms": options.rooms,
        "members": options.members,
        "sent": traffic.sent,
        "expected": traffic.expected,
        "delivered": traffic.delivered,
        "lost": traffic.lost,
        "duplicated": traffic.duplicated,
        "out_of_order": traffic.out_of_order,
        "latency_ms": quantiles(traffic.latency_ms, (50, 95, 99)),
        "ack_ms": quantiles([ms for c in counters for ms in c.ack_ms], (50, 95, 99)),
        "rotations": committees["rotations"],
        "killed": len(network.kills),
        "failover_ms": quantiles(_waits_ms(network, traffic), (50, 99, 100)),
        **rounds,
        **({"central": await _central(network)} if network.central is not None else {}),
        "envelope_sizes": sorted(sizes),
        **({"secure": await _secure(network, counters)} if options.secure else {}),
        "bytes_relayed": sum(c.relayed_bytes for c in counters),
        "transports": _links(counters),
        "committees": committees,
        "cpu_share": quantiles([c.cpu_s / wall_s * 100 for c in counters], (50, 100)),
        "rss_mb": quantiles([c.rss_bytes / 2**20 for c in counters], (50, 100)),
        "wall_s": round(wall_s, 1),
        **({"failed": "; ".join(failed)} if failed else {}),
    }


def _links(counters: Sequence[Counters]) -> dict[str, int]:
    """How many links of each transport, over all peers."""
    links: dict[str, int] = {}
    for c in counters:
        for name, count in c.links.items():
            links[name] = links.get(name, 0) + count
    return links


def _waits_ms(network: Network, traffic: Traffic) -> list[float]:
    """The longest wait in each room that a kill met."""
    waits = (
        traffic.worst_wait_ms(room, kill.at_s, within_s=FAILOVER_WITHIN_S)
        for kill in network.kills
        for room in kill.rooms
    )
    return [wait_ms for wait_ms in waits if wait_ms is not None]


async def _rounds(network: Network, traffic: Traffic) -> dict[str, object]:
    """The figures of rounds of kills, which take the place of the ones by name above them."""
    from railgun_core.demo.kills import kill_figures

    people = network.people
    return kill_figures(
        network,
        traffic.attempts,
        statuses=[await person.status() for person in people],
        counters=[await _counters(person) for person in people],
    )


async def _central(network: Network) -> dict[str, object]:
    """What went through the central server, as the members say."""
    found = [(await person.status()).central for person in network.people]
    return {
        "starts": network.central.starts if network.central is not None else 0,
        "up": sum(central.up for central in found),
        "kept": sum(central.kept for central in found),
        "brought": sum(central.brought for central in found),
    }


async def _secure(network: Network, counters: Sequence[Counters]) -> dict[str, object]:
    """What a secure demo shows besides: sizes on guard and mix links, and the meters of the devices."""
    meters = [(await device.status()).anonymity for device in network.devices]
    mixes = [(await peer.status()).mix for peer in network.alive if peer not in network.devices]
    return {
        "devices": len(network.devices),
        "packet_sizes": sorted({int(size) for c in counters for size in c.packet_sizes}),
        "packets": sum(mix.packets for mix in mixes),
        "late": sum(mix.late for mix in mixes),
        "replayed": sum(mix.replayed for mix in mixes),
        "malformed": sum(mix.malformed for mix in mixes),
        "full": sum(mix.full for mix in mixes),
        "packets_per_s": quantiles([meter.packets_per_s for meter in meters], (50,)),
        "pool": quantiles([meter.pool for meter in meters], (50, 100)),
        "entropy_bits": quantiles([m.entropy_bits for m in meters if m.entropy_bits is not None], (50,)),
        "loop_return": quantiles([m.loop_return for m in meters if m.loop_return is not None], (50,)),
        "anonymous": sum(meter.anonymous for meter in meters),
        "why_not": sorted({meter.why for meter in meters if meter.why}),
    }


async def _counters(peer: PeerProcess) -> Counters:
    return await (await peer.connect()).call("counters", None, Counters)


async def check_committees(network: Network) -> dict[str, object]:
    """Whether all members of each room draw the same committee for each epoch that they all attended."""
    checked, differing, epochs_seen = 0, [], set()
    for room in network.rooms:
        found = [await _inspections(member, room.name) for member in room.members]
        shared = set.intersection(*(set(by_epoch) for by_epoch in found))
        for epoch in sorted(shared):
            checked += 1
            epochs_seen.add(epoch)
            rosters = {tuple(seat.peer_id for seat in by_epoch[epoch].seats) for by_epoch in found}
            if len(rosters) != 1 or not all(by_epoch[epoch].verified for by_epoch in found):
                differing.append(f"{room.name} epoch {epoch}")
    current = int(time.time() // network.options.epoch_s)
    served = {epoch for epoch in epochs_seen if epoch <= current}
    return {
        "checked": checked,
        "agree": not differing,
        "differing": differing,
        "rotations": max(0, len(served) - 1),
    }


async def seats_now(room: DemoRoom, epoch_s: int) -> tuple[str, ...]:
    """The peer ids in the seats of a room's committee at this moment."""
    epoch = int(time.time() // epoch_s)
    inspection = (await _inspections(room.members[0], room.name)).get(epoch)
    return tuple(seat.peer_id for seat in inspection.seats) if inspection is not None else ()


async def _inspections(member: PeerProcess, room: str) -> dict[int, Inspection]:
    client = await member.connect()
    try:
        found = await client.call("inspect", InspectArgs(room=room), Inspections)
    except RailGunError:
        return {}
    return {inspection.epoch: inspection for inspection in found.inspections}
