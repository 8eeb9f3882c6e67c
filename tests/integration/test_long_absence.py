"""Members that are away for ten epochs of real time get everything once, in order, though nobody they knew is left.

One of two members ends in order, the other by SIGKILL with words not sent yet. The others write in every epoch; relays
and a mailbox are killed and replaced, a writer goes for good and a new one comes. When the absent return no writer is
there, so that mailboxes alone bring it. Only what the newcomer wrote waits until it is there again too: it can give
nobody its keys who was away all the time that it was there. Short: epochs of 12 s. With --long: of 60 s.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from railgun_core.local_api.client import Client

from .conftest import RealNetwork, RealNode, real_network, until
from .writers import Reading, Writer

BOXES, RELAYS = 4, 2
EPOCHS = 10
LINES = 3  # of each writer in each epoch
RELAYS_GO, WRITER_GOES = 3, 5  # in which epochs
STORED_S, KEPT_S = 30.0, 60.0
RETURNS_S = 30.0


@dataclass(slots=True)
class Cast:
    """Everybody. `writers` are all that ever wrote, by name; `here` those that write now."""

    network: RealNetwork
    epoch_s: int
    writers: dict[str, Writer] = field(default_factory=dict)
    here: list[str] = field(default_factory=list)

    def enter(self, name: str, *, by: str | None) -> Writer:
        """A person of that name, invited by somebody or the first one."""
        node = self.network.add("--roles", "relay").start().wait_ready(relays=2)
        one = self.writers[name] = Writer(name, node, "talk")
        if by is None:
            node.create("talk")
        else:
            node.good("room", "join", self.writers[by].node.good("room", "invite", "talk").decode().strip())
        return one

    async def write(self, name: str, lines: int, *, wait_s: float = STORED_S) -> int:
        """So many lines of a person; how many were stored in time."""
        one = self.writers[name]
        async with await Client.connect(one.node.data_dir) as client:
            return await one.write(client, lines=lines, wait_s=wait_s)

    def say(self, *names: str) -> None:
        """Each writes, at once, and all of it is stored."""

        async def all_at_once() -> list[int]:
            return list(await asyncio.gather(*(self.write(name, LINES) for name in names)))

        began_s = time.monotonic()
        assert asyncio.run(all_at_once()) == [LINES] * len(names)
        print(f"{time.time() % 10_000:.0f}: {names} stored after {time.monotonic() - began_s:.1f} s", flush=True)

    def goes(self, name: str) -> None:
        """A writer ends once mailboxes keep whatever somebody has not confirmed."""
        one = self.writers[name]

        def is_kept() -> bool:
            outbox = one.outbox()
            return not outbox.unsent and all(group.why == "mailbox" for group in outbox.stored)

        until(is_kept, within_s=KEPT_S, what=f"mailboxes that keep what {name} wrote")
        assert one.outbox().stored, "somebody is away"
        one.node.stop()
        self.here.remove(name)

    def until_next_epoch(self) -> None:
        ends_s = (time.time() // self.epoch_s + 1) * self.epoch_s
        until(lambda: time.time() >= ends_s, within_s=self.epoch_s + 1, what="the end of the epoch")

    def returns(self, name: str, *, wanted: set[bytes]) -> None:
        """Start somebody again and wait until it has read all this."""
        one = self.writers[name]
        began_s = time.monotonic()
        one.node.start().wait_ready()
        reading = Reading(name, one.node, one.room)
        try:
            until(lambda: not reading.lacks(wanted), within_s=RETURNS_S, what=f"{len(wanted)} lines at {name}")
        finally:
            print(f"{name} lacks {sorted(wanted.difference(reading.lines))}", flush=True)
        print(f"{name} has all {len(wanted)} lines {time.monotonic() - began_s:.1f} s after its start", flush=True)

    def written(self, *names: str) -> set[bytes]:
        """What these wrote until now."""
        return {line for name in names for line in self.writers[name].written}

    def all_have_all(self, *names: str) -> None:
        """These have everything, once and in order."""
        for name in names:
            reading = Reading(name, self.writers[name].node, self.writers[name].room)
            reading.has_all(self.writers.values(), within_s=RETURNS_S)
            reading.check(self.writers.values())


def replace(network: RealNetwork, old: list[RealNode], *roles: str) -> None:
    """Kill these and start as many new ones, which come in when they can."""
    for node in old:
        node.kill()
    for role in roles:
        network.add("--roles", role).start()


def town(network: RealNetwork, epoch_s: int) -> Cast:
    """Four mailboxes, two relays, and four people in a room who have read each other."""
    network.bootstrap.start()
    for role in (*["relay,mailbox"] * BOXES, *["relay"] * RELAYS):
        network.add("--roles", role).start()
    for node in network.nodes:
        node.wait_ready(relays=len(network.nodes))
    cast = Cast(network, epoch_s)
    for name, by in (("ann", None), ("bea", "ann"), ("cal", "ann"), ("dee", "bea")):
        cast.enter(name, by=by)
    cast.say("ann", "bea", "cal", "dee")
    cast.all_have_all(*cast.writers)
    return cast


@pytest.mark.deadline(480)
def test_who_was_away_for_ten_epochs_gets_everything_once_in_order_from_mailboxes_alone(long_run: bool) -> None:
    epoch_s = 60 if long_run else 12
    with real_network("--epoch-s", str(epoch_s)) as network:
        cast = town(network, epoch_s)
        before = cast.written("dee")
        cast.writers["cal"].node.stop()
        asyncio.run(cast.write("dee", LINES, wait_s=0.0))
        cast.writers["dee"].node.kill()
        cast.here, before_eve = ["ann", "bea"], set[bytes]()
        for epoch in range(EPOCHS):
            cast.until_next_epoch()
            cast.say(*cast.here)
            if epoch == RELAYS_GO:
                replace(network, network.nodes[BOXES - 1 : BOXES + RELAYS], "relay,mailbox", "relay", "relay")
            elif epoch == WRITER_GOES:
                before_eve = cast.written(*cast.writers)
                cast.enter("eve", by="bea")
                cast.here.append("eve")
                cast.goes("ann")
        cast.until_next_epoch()
        for name in ("bea", "eve"):
            cast.goes(name)
        cast.returns("cal", wanted=cast.written("ann", "bea", "cal") | before)
        cast.returns("dee", wanted=cast.written("ann", "bea", "cal", "dee"))
        cast.say("cal", "dee")
        cast.returns("bea", wanted=cast.written(*cast.writers))
        cast.returns("eve", wanted=cast.written(*cast.writers) - before_eve)
        cast.all_have_all("bea", "cal", "dee")
        Reading("eve", cast.writers["eve"].node, "talk").check(cast.writers.values())
