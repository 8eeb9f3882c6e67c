"""The state of one room on this device. What happens to it is in publish.py, receive.py and sync.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, MemberId, PeerId, RoomId
from railgun_core.base.rng import Rng
from railgun_core.base.timers import Timers
from railgun_core.changes import MemberPut, Membership, RoomPut, SecretPut
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.trust import Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, Save
from railgun_core.rooms.heads import compare
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.keyring import Keyring
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.lineage import Lineage
from railgun_core.rooms.mail import RoomMail
from railgun_core.rooms.outbox import Outbox
from railgun_core.rooms.pieces import Puzzle
from railgun_core.status import DutyState
from railgun_core.wire.heads import Head

Timer = tuple[str, RoomId, int]
Answered = Callable[[bytes | None, Instant, list[Effect]], None]
AWAIT_S = 7 * 86_400  # who is silent for longer is not waited for (protocol.md 6.5)


class Carrier(Protocol):
    """The way through guards and mixes, as the node offers it to rooms."""

    @property
    def all_rooms(self) -> bool:
        """Whether ordinary rooms too reach their relays through guards."""

    def guard(self, now: Instant) -> LinkId | None:
        """An open link to a guard, for a dial through it; None while there is none."""

    @property
    def guards(self) -> frozenset[PeerId]:
        """The guards of this device: they know its address, so its rooms do not use them as relays."""

    def reaches(self, relay: PeerId, now: Instant) -> bool:
        """Whether a post to this relay can be made now."""

    def post(self, body: bytes, to: PeerId, then: Answered, now: Instant, out: list[Effect]) -> bool:
        """Queue a post; False when there is no room or no way. `then` gets the answer's bytes, or None when none came
        in time; always later."""


@dataclass(slots=True)
class RoomContext:
    """What every room shares: the network's shape, chance, deadlines, and ways to ask the node."""

    view: RelayView
    clock: EpochClock
    committee_size: int
    rng: Rng
    timers: Timers[Timer]
    when_saved: Callable[[Callable[[Instant, list[Effect]], None]], int]
    carrier: Carrier
    trust: Trust
    convicted: set[PeerId] = field(default_factory=set)  # relays that were proved to tell two stories

    def compare_heads(self, room: Room, heads: Iterable[Head], now: Instant, out: list[Effect]) -> None:
        """Hold what relays signed against what is known; rooms leave whoever is convicted."""
        if compare(heads, room.every_lane(), self.view, self.convicted, out):
            self.wake("leave", room.id, now.mono_s)

    @property
    def echo_s(self) -> float:
        """How long what a relay took may still be pulled from it."""
        return self.clock.epoch_s + 2 * self.clock.overlap_s

    def wake(self, what: str, room: RoomId, at_s: float, epoch: int = 0) -> None:
        """Come back to a room at a monotonic time, or earlier if that is planned."""
        self.timers.set_earlier((what, room, epoch), at_s)


class Room:
    """One room: who is in it, what was sent and received, and its lanes through the live epochs."""

    def __init__(
        self, put: RoomPut, ring: Keyring, *, next_seq: int, first_kept: int, lineage: Lineage | None = None
    ) -> None:
        self.put = put
        self.id = put.room
        self.me: MemberId = ring.my_id
        self.join_tries = 0
        self.inboxes: dict[MemberId, Inbox] = {}
        self.puzzle = Puzzle()
        self.ring = ring
        self.renewed = False  # it took a new member key since the start
        self.former_key = b""
        self.former_ids: set[MemberId] = set()  # this person, under the keys of before
        self.farewells = 0  # of the former key, still to be said
        self.lineage = lineage or Lineage.of(put.root)
        self.moving = False  # a new root waits for its save
        self.told_removed = False
        self.to_remove: list[MemberId] = []  # removed here before another removal undid it
        self.mail = RoomMail(0.0, put.created_s)
        self.outbox = Outbox(put.room, next_seq=next_seq, first_kept=max(first_kept, ring.stream_first))
        self.lanes: dict[int, Lane] = {}
        self.carries_opaque = False  # since the start: another program encrypts here
        self.nudges = 0
        self.synced_s = float("-inf")

    def enter_with(self, ring: Keyring) -> None:
        """Be another member from now on. What others confirmed was of the stream before."""
        self.former_ids.add(self.me)
        self.ring, self.me, self.renewed = ring, ring.my_id, True
        for inbox in self.inboxes.values():
            inbox.confirmed, inbox.claim = 0, -1

    @property
    def joining(self) -> bool:
        """Whether no member has answered yet."""
        return self.put.membership is Membership.JOINING

    @property
    def secure(self) -> bool:
        """Whether this device sends to the room through mixes, and receives from it through guards."""
        return self.put.secure

    @property
    def left(self) -> bool:
        """Whether this person has left."""
        return self.put.membership is Membership.LEFT

    def become(self, membership: Membership) -> RoomPut:
        """The room's row with another state."""
        self.put = replace(self.put, membership=membership)
        return self.put

    @property
    def others(self) -> list[Inbox]:
        """The other active members."""
        return [inbox for inbox in self.inboxes.values() if inbox.membership is Membership.ACTIVE]

    def awaited(self, unix_s: float) -> list[Inbox]:
        """Those of the others whose confirmation is waited for: heard of in the last seven days."""
        return [inbox for inbox in self.others if max(inbox.heard_s, inbox.since_s) > unix_s - AWAIT_S]

    @property
    def ahead_bytes(self) -> int:
        """What waits for earlier items, of all members."""
        return sum(inbox.ahead_bytes for inbox in self.inboxes.values())

    @property
    def unreadable(self) -> int:
        """Items that came and cannot be opened here: their keys have not come, or they are forged."""
        return self.ring.waiting_items + self.ring.unopened

    @property
    def secure_members(self) -> int:
        """How many of the members send through mixes, oneself included."""
        return self.secure + sum(inbox.secure for inbox in self.others)

    @property
    def members(self) -> int:
        """How many people are in the room, oneself included."""
        return 1 + len(self.others)

    def ignores(self, member: MemberId, lane: Lane) -> bool:
        """Whether nothing of a member is taken: removed, entering by a root of before, or oneself with a former key."""
        if member in self.lineage.removed or member in self.former_ids:
            return True
        return member not in self.inboxes and self.lineage.former_of(lane) is not None

    def every_lane(self) -> list[Lane]:
        """The lanes of the present root and of former ones."""
        formers = self.lineage.formers
        return [*self.lanes.values(), *(lane for former in formers for lane in former.lanes.values())]

    def lanes_by_use(self) -> list[Lane]:
        """Live lanes with an open session: the serving one first, then the one in overlap, then the next."""
        rank = {DutyState.SERVING: 0, DutyState.OVERLAP: 1, DutyState.PREPARING: 2}
        found = [lane for lane in self.lanes.values() if lane.is_live and lane.open_sessions()]
        return sorted(found, key=lambda lane: rank[lane.rotation.state])

    @property
    def has_way(self) -> bool:
        """Whether a relay that is not suspect is there, in an epoch that has begun."""
        return any(lane.is_working and lane.sound_sessions() for lane in self.lanes.values())

    def publishing_lane(self) -> Lane | None:
        """Where new envelopes go: never to an epoch that has not begun."""
        lanes = self.lanes_by_use()
        return lanes[0] if lanes and lanes[0].rotation.state is not DutyState.PREPARING else None

    def member_put(self, inbox: Inbox) -> MemberPut:
        """The row of a member. `have` never runs ahead of the items that are in this save or an earlier one."""
        return MemberPut(
            room=self.id,
            member=inbox.member,
            name="",
            have=inbox.kept,
            baseline=inbox.baseline or 0,
            membership=inbox.membership,
            heard_s=inbox.heard_s,
            secure=inbox.secure,
            key=self.ring.fellow(inbox.member).key,
        )


def save(context: RoomContext, changes: tuple[RoomPut | MemberPut | SecretPut, ...], out: list[Effect]) -> None:
    """Make rows durable; nobody waits for it."""
    out.append(Save(context.when_saved(lambda now, effects: None), changes))
