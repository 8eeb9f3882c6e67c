"""Carrying a plan out: what each kind of fault does to a world, and how it ends.

A fault that finds its victim down, asleep or gone already does nothing and does not count. Everything is well again at
the plan's `heal_s`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from railgun_core.base.ids import TagHandle
from railgun_core.events import Effect, Hangup
from railgun_core.sim import disk
from railgun_core.sim.checkers import Checkers
from railgun_core.sim.crowd import Crowd
from railgun_core.sim.faults import Fault, FaultKind, Plan
from railgun_core.sim.links import VANISHED_AFTER_S
from railgun_core.sim.network import Block, End
from railgun_core.sim.peer import SimPeer
from railgun_core.sim.world import World
from railgun_core.wire.frames import Misdirected, Ping
from railgun_core.wire.kinds import LENGTH

STROBE_S = (0.2, 2.0)
STRANGE_EVERY_S = (0.5, 3.0)
RESTART_S = 2.0  # of a node that raised

Strike = Callable[[Fault], bool]


class Strikes:
    """The faults of one run. `happened` counts those that did."""

    def __init__(self, world: World, crowd: Crowd, checkers: Checkers, plan: Plan) -> None:
        self._world, self._crowd, self._checkers, self._plan = world, crowd, checkers, plan
        self._rng = Random(f"strikes {plan.seed}")
        self.happened: Counter[FaultKind] = Counter()
        self._begun: set[Fault] = set()
        self._kept: dict[Fault, object] = {}
        self._begin = self._beginnings()
        self._end = self._ends()

    def _beginnings(self) -> dict[FaultKind, Strike]:
        kinds, world, crowd = FaultKind, self._world, self._crowd
        return {
            kinds.HALVES: self._partition,
            kinds.RING: self._partition,
            kinds.BRIDGE: self._partition,
            kinds.ONE_WAY: self._partition,
            kinds.SINGLE: self._partition,
            kinds.LOSS: self._lossy,
            kinds.DELAY: self._slow,
            kinds.CLOG: self._clog,
            kinds.PAUSE: self._pause,
            kinds.KILL: self._kill,
            kinds.OLD_STORE: self._back_up,
            kinds.CLOCK_SKEW: self._shift_clocks,
            kinds.CLOCK_JUMP: self._shift_clocks,
            kinds.CLOCK_STROBE: self._strobe,
            kinds.DISK_FULL: self._fill_disk,
            kinds.TORN_WRITE: self._tear,
            kinds.BIT_FLIP: self._kill,
            kinds.SLOW_DISK: self._slow_disk,
            kinds.JOIN: lambda f: crowd.enter(f.room, world.peers[f.peers[0]], joining=True),
            kinds.LEAVE: lambda f: crowd.leave(f.room, world.peers[f.peers[0]]),
            kinds.REMOVE: lambda f: crowd.remove(f.room, world.peers[f.peers[0]], world.peers[f.peers[1]]),
            kinds.VERSION_SKEW: self._talk_strangely,
            kinds.SUSPEND: self._suspend,
            kinds.ADDRESS_CHANGE: self._move,
            kinds.NAT_REBINDING: self._rebind,
            kinds.LOOKUP_FAILS: self._blind,
            kinds.COMMITTEE_KILLED: self._kill_committee,
            kinds.CENTRAL_DOWN: self._central_down,
        }

    def _ends(self) -> dict[FaultKind, Callable[[Fault], None]]:
        kinds, world = FaultKind, self._world
        return {
            **dict.fromkeys((kinds.HALVES, kinds.RING, kinds.BRIDGE, kinds.ONE_WAY, kinds.SINGLE), self._join_up),
            kinds.LOSS: lambda f: setattr(world.network, "loss", 0.0),
            kinds.DELAY: lambda f: setattr(world.network, "slowness", 1.0),
            kinds.CLOG: lambda f: world.network.clogs.pop(f, None) and None,
            kinds.PAUSE: self._go_on,
            kinds.KILL: self._start,
            kinds.OLD_STORE: self._put_back,
            kinds.CLOCK_SKEW: self._right_clocks,
            kinds.CLOCK_JUMP: self._right_clocks,
            kinds.CLOCK_STROBE: self._right_clocks,
            kinds.DISK_FULL: self._free_disk,
            kinds.TORN_WRITE: self._mend,
            kinds.BIT_FLIP: self._start_empty,
            kinds.SLOW_DISK: lambda f: self._each(f, lambda peer: setattr(peer.disk, "slowness", 1.0)),
            kinds.SUSPEND: self._wake_up,
            kinds.LOOKUP_FAILS: lambda f: self._each(f, lambda peer: setattr(peer, "learns", True)),
            kinds.COMMITTEE_KILLED: self._start,
            kinds.CENTRAL_DOWN: self._central_up,
        }

    def schedule(self) -> None:
        """Put the plan on the world's queue."""
        world = self._world
        for fault in self._plan.faults:
            world.at(fault.start_s, lambda fault=fault: self._start_fault(fault))  # type: ignore[misc]
            world.at(fault.end_s, lambda fault=fault: self._end_fault(fault))  # type: ignore[misc]
        for number, start_s, end_s in self._plan.away:
            peer = world.peers[number]
            world.at(start_s, lambda peer=peer: self._go_away(peer))  # type: ignore[misc]
            world.at(end_s, lambda peer=peer: self.start(peer))  # type: ignore[misc]
        world.at(self._plan.heal_s, self._heal)

    def _start_fault(self, fault: Fault) -> None:
        if self._begin[fault.kind](fault):
            self.happened[fault.kind] += 1
            self._begun.add(fault)

    def _end_fault(self, fault: Fault) -> None:
        end = self._end.get(fault.kind)
        if fault in self._begun and end is not None:
            self._begun.discard(fault)
            end(fault)

    def _heal(self) -> None:
        """All is well: whatever is still down comes up."""
        world = self._world
        for fault in sorted(self._begun, key=lambda one: (one.start_s, one.kind.value)):
            self._end_fault(fault)
        for peer in world.peers:
            world.resume_peer(peer)
            self.start(peer)

    # ------------------------------------------------------------ machines

    def crash(self, peer: SimPeer) -> bool:
        """Power off, unless it is."""
        if peer.node is None:
            return False
        self._crowd.note(peer)
        self._world.crash_peer(peer)
        return True

    def _go_away(self, peer: SimPeer) -> None:
        self.crash(peer)

    def start(self, peer: SimPeer) -> None:
        """Power on, unless it is."""
        if peer.node is None:
            self._world.start_peer(peer)
            self._crowd.note(peer)

    def raised(self, number: int, error: Exception) -> None:
        """A node raised; a supervisor would start it again."""
        self._checkers.raised(number, error)
        peer = self._world.peers[number]
        self._world.at(self._world.now_s + RESTART_S, lambda: self.start(peer))

    def _each(self, fault: Fault, what: Callable[[SimPeer], object]) -> None:
        for number in fault.peers:
            what(self._world.peers[number])

    def _up(self, fault: Fault) -> list[SimPeer]:
        peers = [self._world.peers[number] for number in fault.peers]
        return [peer for peer in peers if peer.node is not None and not peer.stopped]

    def _kill(self, fault: Fault) -> bool:
        return any([self.crash(peer) for peer in self._up(fault)])

    def _start(self, fault: Fault) -> None:
        peers = self._kept.pop(fault, None)
        for number in peers if isinstance(peers, tuple) else fault.peers:
            self.start(self._world.peers[number])

    def _pause(self, fault: Fault) -> bool:
        for peer in self._up(fault):
            self._world.stop_peer(peer)
        return any(self._world.peers[number].stopped for number in fault.peers)

    def _go_on(self, fault: Fault) -> None:
        self._each(fault, self._world.resume_peer)

    def _kill_committee(self, fault: Fault) -> bool:
        """Every seat of the committee that serves a room now, as one of its members sees it."""
        world, crowd = self._world, self._crowd
        for peer in world.peers:
            room = crowd.room_of(fault.room, peer)
            lane = None if room is None else room.publishing_lane()
            if lane is not None and lane.committee is not None:
                seats = set(lane.committee.members)
                killed = tuple(p.number for p in world.peers if p.identity.peer_id in seats and self.crash(p))
                self._kept[fault] = killed
                return bool(killed)
        return False

    def _suspend(self, fault: Fault) -> bool:
        up = self._up(fault)
        for peer in up:
            number = peer.number
            self._world.network.blocks["asleep", number] = _isolates(number)
            self._world.stop_peer(peer)
            self._kept[fault] = self._world.now_s
        return bool(up)

    def _wake_up(self, fault: Fault) -> None:
        since_s = self._kept.pop(fault, self._world.now_s)
        assert isinstance(since_s, float)
        for number in fault.peers:
            peer = self._world.peers[number]
            self._world.network.blocks.pop(("asleep", number), None)
            if peer.stopped:
                peer.lag_s += self._world.now_s - since_s
            self._world.links.review()
            self._checkers.woke_s[number] = self._world.now_s
            self._world.wake_peer(peer, self._world.now_s - since_s)

    # ------------------------------------------------------------ stores

    def _back_up(self, fault: Fault) -> bool:
        """A backup is made now; the store is put back from it when the fault ends."""
        up = self._up(fault)
        if up:
            self._kept[fault] = up[0].store.snapshot()
        return bool(up)

    def _put_back(self, fault: Fault) -> None:
        peer = self._world.peers[fault.peers[0]]
        self._checkers.read(peer)
        self.crash(peer)
        peer.store.restore(self._kept.pop(fault))  # type: ignore[arg-type]
        self._crowd.restored_store(peer)
        self._world.at(self._world.now_s + self._rng.uniform(0.5, 5.0), lambda: self.start(peer))

    def _start_empty(self, fault: Fault) -> None:
        """The store was damaged: the peer starts without one, and its person joins again by the invites."""
        for number in fault.peers:
            peer = self._world.peers[number]
            if peer.node is not None:
                continue
            self._checkers.read(peer)
            disk.lose(peer)
            rooms = self._crowd.lost_store(peer)
            self.start(peer)
            for room in rooms:
                self._crowd.enter(room, peer, joining=True)

    def _fill_disk(self, fault: Fault) -> bool:
        self._each(fault, lambda peer: setattr(peer.store, "disk_full", True))
        return True

    def _free_disk(self, fault: Fault) -> None:
        self._each(fault, lambda peer: setattr(peer.store, "disk_full", False))

    def _tear(self, fault: Fault) -> bool:
        for peer in self._up(fault):
            peer.disk.tears = True
        return bool(self._up(fault))

    def _mend(self, fault: Fault) -> None:
        self._each(fault, lambda peer: setattr(peer.disk, "tears", False))
        self._start(fault)

    def _slow_disk(self, fault: Fault) -> bool:
        self._each(fault, lambda peer: setattr(peer.disk, "slowness", fault.amount))
        return True

    # ------------------------------------------------------------ clocks

    def _shift_clocks(self, fault: Fault) -> bool:
        for number in fault.peers:
            self._set_clock(self._world.peers[number], fault.amount)
        return True

    def _strobe(self, fault: Fault) -> bool:
        peer = self._world.peers[fault.peers[0]]

        def flip() -> None:
            if self._world.now_s < fault.end_s:
                self._set_clock(peer, 0.0 if peer.ahead_s else fault.amount)
                self._world.at(self._world.now_s + self._rng.uniform(*STROBE_S), flip)

        flip()
        return True

    def _right_clocks(self, fault: Fault) -> None:
        for number in fault.peers:
            self._set_clock(self._world.peers[number], 0.0)

    def _set_clock(self, peer: SimPeer, ahead_s: float) -> None:
        peer.ahead_s = ahead_s
        self._checkers.calm_s[peer.number] = self._world.now_s

    # ------------------------------------------------------------ the network

    def _partition(self, fault: Fault) -> bool:
        self._world.network.blocks[fault] = _block(fault)
        return True

    def _join_up(self, fault: Fault) -> None:
        self._world.network.blocks.pop(fault, None)
        self._world.links.review()

    def _lossy(self, fault: Fault) -> bool:
        self._world.network.loss = fault.amount
        return True

    def _slow(self, fault: Fault) -> bool:
        self._world.network.slowness = fault.amount
        return True

    def _clog(self, fault: Fault) -> bool:
        self._world.network.clogs[fault] = (frozenset(fault.peers), fault.end_s)
        return True

    def _rebind(self, fault: Fault) -> bool:
        up = [peer for peer in self._up(fault) if peer.ends]
        for peer in up:
            self._world.links.break_all(peer, VANISHED_AFTER_S)
        return bool(up)

    def _move(self, fault: Fault) -> bool:
        for peer in self._up(fault):
            peer.moves += 1
            self._world.links.break_all(peer, VANISHED_AFTER_S)
            self._world.address_changed(peer)
        return bool(self._up(fault))

    def _blind(self, fault: Fault) -> bool:
        self._each(fault, lambda peer: setattr(peer, "learns", False))
        return True

    def _central_down(self, fault: Fault) -> bool:
        hybrid = self._world.hybrid
        if hybrid is not None:
            hybrid.server.go_down()
        return hybrid is not None

    def _central_up(self, fault: Fault) -> None:
        hybrid = self._world.hybrid
        if hybrid is not None:
            if fault.amount:
                hybrid.server.lose_store()
            hybrid.server.come_up()

    # ------------------------------------------------------------ other versions

    def _talk_strangely(self, fault: Fault) -> bool:
        """These peers speak a newer protocol now and then: frames and records that nobody here knows."""
        world = self._world

        def speak(peer: SimPeer) -> None:
            if world.now_s >= fault.end_s:
                return
            ends = [end for end in peer.ends.values() if end.open and end.other is not None]
            if peer.node is not None and not peer.stopped and ends:
                self._send_strange(peer, ends[self._rng.randrange(len(ends))])
            world.at(world.now_s + self._rng.uniform(*STRANGE_EVERY_S), lambda: speak(peer))

        self._each(fault, speak)
        return True

    def _send_strange(self, peer: SimPeer, end: End) -> None:
        world, far = self._world, end.other
        assert far is not None
        data, lenient = _strange(self._rng)
        if far.held or far.stalled_s is not None or not world.network.reachable(peer.number, far.peer):
            return
        when_s = world.network.arrival_s(far, peer.number, world.now_s)
        world.at(when_s, lambda: self._take_strange(far, data, lenient=lenient))

    def _take_strange(self, far: End, data: bytes, *, lenient: bool) -> None:
        """What a node does about it: this link is closed, or (`lenient`) not even that; and nothing else happens."""
        world = self._world
        peer = world.peers[far.peer]
        node = peer.node
        if node is None or peer.stopped or not far.open or far.link not in peer.ends or far.splitter.waiting_bytes:
            return
        batch = far.splitter.feed(data)
        assert batch is not None
        effects: list[Effect] = []
        try:
            effects = node.frames(far.link, batch, world.now_of(peer))
        except Exception as error:
            self._checkers.raised(peer.number, error)
        closed = [effect.link for effect in effects if isinstance(effect, Hangup)]
        if closed != [far.link] and (closed or not lenient):
            text = f"peer {peer.number} closes {closed} and not {far.link} for a frame of another version"
            self._checkers.blame("no escape", text, peer.number)
        world.apply(peer, effects)


def _strange(rng: Random) -> tuple[bytes, bool]:
    """A frame of a type that does not exist, one that is too long, or records of an unknown kind.

    True for the last: records that do not verify are passed over, they close no link.
    """
    kind = rng.randrange(3)
    if kind == 0:
        body = bytes((rng.randint(100, 255),)) + rng.randbytes(rng.randint(0, 40))
        return LENGTH.pack(len(body)) + body, False
    if kind == 1:
        whole = Ping(7).encode() + b"new"
        return LENGTH.pack(len(whole) - 4) + whole[4:], False
    return Misdirected(TagHandle(rng.randbytes(8)), (rng.randbytes(120),)).encode(), True


def _isolates(number: int) -> Block:
    return lambda a, b: number in (a, b)


def _block(fault: Fault) -> Block:
    """Who does not reach whom."""
    inside = frozenset(fault.peers)
    match fault.kind:
        case FaultKind.ONE_WAY:
            return lambda a, b: a in inside and b not in inside
        case FaultKind.SINGLE:
            return lambda a, b: (a in inside) != (b in inside)
        case FaultKind.BRIDGE:
            bridge, half = fault.peers[0], frozenset(fault.peers[1:])
            return lambda a, b: bridge not in (a, b) and (a in half) != (b in half)
        case FaultKind.RING:
            place = {number: at for at, number in enumerate(fault.peers)}
            count = len(place)

            def apart(a: int, b: int) -> bool:
                steps = abs(place[a] - place[b])
                return min(steps, count - steps) > count // 4 + 1

            return apart
        case _:
            return lambda a, b: (a in inside) != (b in inside)
