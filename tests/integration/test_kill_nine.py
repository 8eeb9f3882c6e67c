"""kill -9 of senders, receivers and relays at any moment, and of everything at once.

Three members send all the time and write down what the engine reported as stored. Whatever is killed and started
again: in the end every member has every such line exactly once, and each sender's lines in the order they were sent.
A line whose send was cut off may arrive or not, but never twice. Every node is a mailbox too, so that what is killed
is in the middle of any work that an engine does, and one in four is killed again while it starts. With --long:
1,000 kills, with the pace said every 50.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from statistics import median

import pytest

from railgun_core.base.errors import RailGunError
from railgun_core.local_api.client import Client
from railgun_core.local_api.messages import RoomSend, Sent

from .conftest import RealNetwork, RealNode, numbered, real_network, until

MEMBERS, RELAYS = 3, 4
BATCH_LINES = 5
PAUSE_S = 0.25  # between batches of one sender: always something under way, and time left for engines to start
KILLS, KILLS_LONG = 10, 1_000
KILLS_A_ROOM = 50  # then all is counted, and the next room begins
KILLED_AGAIN, STARTING_S = 0.25, 1.5  # the share that is killed once more, and when: an engine starts in about a second
SETTLE_S = 90.0
WAIT_S = 30.0


@pytest.fixture(scope="module")
def network() -> Iterator[RealNetwork]:
    """Bootstrap, three members and four nodes that only relay; short epochs, so that some kills meet a rotation."""
    with real_network("--epoch-s", "20") as network:
        network.bootstrap.start()
        for _ in range(MEMBERS + RELAYS):
            network.add("--roles", "relay,mix,mailbox").start()
        for node in network.nodes:
            node.wait_ready(relays=len(network.nodes))
        yield network


@dataclass(slots=True)
class Talker:
    """One member that sends numbered lines and remembers which were reported stored."""

    name: str
    node: RealNode
    room: str
    stored: list[bytes] = field(default_factory=list)
    tried: int = 0
    grew: asyncio.Event = field(default_factory=asyncio.Event)

    async def talk(self, ended: asyncio.Event) -> None:
        """Send until told to end; connect again whenever the engine is back."""
        while not ended.is_set():
            with contextlib.suppress(RailGunError):
                async with await Client.connect(self.node.data_dir) as client:
                    while not ended.is_set():
                        await self._send(client)
                        await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(PAUSE_S)

    async def _send(self, client: Client) -> None:
        lines = tuple(numbered(self.name, self.tried + 1, self.tried + BATCH_LINES))
        self.tried += BATCH_LINES  # never sent again: what was cut off may be in the outbox
        sent = await client.call("room.send", RoomSend(self.room, lines, wait_s=WAIT_S), Sent)
        if sent.reached == len(lines):
            self.stored.extend(lines)
            self.grew.set()


def talkers(network: RealNetwork, room: str) -> list[Talker]:
    link = network.nodes[0].create(room)
    for node in network.nodes[1:MEMBERS]:
        node.good("room", "join", link)
    return [Talker(f"m{number}", node, room) for number, node in enumerate(network.nodes[:MEMBERS])]


async def talk_while(speakers: list[Talker], play: Callable[[], Awaitable[None]]) -> None:
    """All talk while `play` does its worst."""
    ended = asyncio.Event()
    tasks = [asyncio.create_task(one.talk(ended)) for one in speakers]
    try:
        await play()
    finally:
        ended.set()
        await asyncio.wait_for(asyncio.gather(*tasks), WAIT_S + 30)


async def stored_more(one: Talker, lines: int) -> None:
    """Until a talker got that many more lines stored."""
    wanted = len(one.stored) + lines
    async with asyncio.timeout(WAIT_S + 30):
        while len(one.stored) < wanted:
            one.grew.clear()
            await one.grew.wait()


def check(speakers: list[Talker]) -> None:
    """Exactly once and in order, at every member."""
    stored = {line for one in speakers for line in one.stored}
    found: dict[str, list[bytes]] = {}

    def complete() -> bool:
        for one in speakers:
            found[one.name] = one.node.read(one.room).splitlines()
        return all(stored <= set(lines) for lines in found.values())

    try:
        until(complete, within_s=SETTLE_S, what="every stored line at every member")
    finally:
        for name, lines in found.items():
            missing = sorted(stored - set(lines))
            print(f"{name}: {len(lines)} lines, {len(missing)} of {len(stored)} stored ones missing: {missing[:5]}")
    for name, lines in found.items():
        twice = [line for line, count in Counter(lines).items() if count > 1]
        assert twice == [], f"{name} got lines twice"
        for one in speakers:
            theirs = [line for line in lines if line.startswith(one.name.encode())]
            assert theirs == sorted(theirs), f"{name} got lines of {one.name} out of order"


@dataclass(slots=True)
class Pace:
    """What rounds of kills cost, s: until another's lines were stored, and until all killed were up again."""

    stored_s: list[float] = field(default_factory=list)
    up_s: list[float] = field(default_factory=list)
    kills: int = 0

    def __str__(self) -> str:
        middle, worst = median(self.stored_s), max(self.stored_s)
        return f"others stored after {middle:.2f} s (worst {worst:.2f}), up after {median(self.up_s):.2f} s"


async def kill_some(network: RealNetwork, speakers: list[Talker], kills: int, rng: Random, pace: Pace) -> None:
    """Round by round kill a sender, a receiver and a relay, each at its own moment, and start them again."""
    roles = (network.nodes[0:1], network.nodes[1:MEMBERS], network.nodes[MEMBERS:])
    done = 0
    while done < kills:
        victims = [rng.choice(nodes) for nodes in roles]
        steady = next(one for one in speakers if one.node not in victims)
        await asyncio.gather(*(kill_after(victim, rng.uniform(0.0, 2 * PAUSE_S)) for victim in victims))
        killed_s = time.monotonic()
        await stored_more(steady, BATCH_LINES)
        pace.stored_s.append(time.monotonic() - killed_s)
        again_s = [rng.uniform(0.0, STARTING_S) if rng.random() < KILLED_AGAIN else None for _ in victims]
        await asyncio.gather(*map(start_again, victims, again_s))
        pace.up_s.append(time.monotonic() - killed_s - pace.stored_s[-1])
        done += len(victims) + sum(after_s is not None for after_s in again_s)
    pace.kills += done


async def kill_after(victim: RealNode, after_s: float) -> None:
    """SIGKILL at that moment."""
    await asyncio.sleep(after_s)
    victim.kill()


async def start_again(victim: RealNode, again_s: float | None) -> None:
    """Start it until it is ready; where a time is given it is killed once more on the way, perhaps while it mends."""
    victim.start()
    if again_s is not None:
        await kill_after(victim, again_s)
        victim.start()
    await asyncio.to_thread(victim.wait_ready)


@pytest.mark.deadline(300)
def test_lines_that_were_stored_arrive_once_whoever_is_killed(network: RealNetwork, long_run: bool) -> None:
    rng = Random(0x9)
    kills = KILLS_LONG if long_run else KILLS
    began_s, lines, pace = time.monotonic(), 0, Pace()
    while pace.kills < kills:
        speakers = talkers(network, f"killed-{pace.kills}")
        some = min(KILLS_A_ROOM, kills - pace.kills)
        asyncio.run(talk_while(speakers, partial(kill_some, network, speakers, some, rng, pace)))
        check(speakers)
        lines += sum(len(one.stored) for one in speakers)
        each_s = (time.monotonic() - began_s) / pace.kills
        print(f"{pace.kills} kills, {each_s:.2f} s each; {lines} lines, none lost or twice; {pace}", flush=True)


@pytest.mark.deadline(240)
def test_lines_that_were_stored_arrive_once_when_everything_is_killed_at_once(network: RealNetwork) -> None:
    speakers = talkers(network, "blackout")

    async def play() -> None:
        await stored_more(speakers[0], 4 * BATCH_LINES)
        for node in (*network.nodes, network.bootstrap):
            assert node.process is not None
            node.process.kill()
        for node in (*network.nodes, network.bootstrap):
            node.kill()
            node.start()
        for node in network.nodes:
            await asyncio.to_thread(node.wait_ready, relays=len(network.nodes))
        await stored_more(speakers[0], 2 * BATCH_LINES)

    asyncio.run(talk_while(speakers, play))
    check(speakers)
