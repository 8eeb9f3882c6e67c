"""The verbs of what protects rooms: high security and its price, safety numbers, removal, opaque bytes, exposure.

Names become ids here; what happens then is behind PrivacyPort.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import MemberId
from railgun_core.config import OPTIONS
from railgun_core.engine.engine import Engine
from railgun_core.local_api import messages as m
from railgun_core.local_api.handlers import Handler, call
from railgun_core.local_api.outgoing import check_messages, hand_over
from railgun_core.local_api.privacy import PrivacyPort
from railgun_core.local_api.verbs_rooms import room_info
from railgun_core.rooms.naming import find_room
from railgun_core.rooms.room import Room

DAYS_KEPT = 31
SHORTEST_PREFIX = 4  # hex digits of a member's id that may stand for it
_BUDGET = next(option for option in OPTIONS if option.name == "secure_gb_month")


class PrivacyVerbs:
    """The handlers of one engine's privacy."""

    def __init__(self, engine: Engine, privacy: PrivacyPort) -> None:
        self._engine = engine
        self._privacy = privacy

    def handlers(self) -> Mapping[str, Handler]:
        """Verb to handler."""
        return {
            "room.price": call(m.PriceAsk, self.price),
            "room.secure": call(m.RoomSecure, self.secure),
            "room.safety": call(m.MemberRef, self.safety),
            "room.remove": call(m.MemberRef, self.remove),
            "room.send_opaque": call(m.RoomSendOpaque, self.send_opaque),
            "exposure": call(m.ExposureAsk, self.exposure),
        }

    async def price(self, args: m.PriceAsk) -> m.Price:
        _check_budget(args.gb_month)
        return self._privacy.price(self._room(args.room).id, args.gb_month, self._engine.clock.instant())

    async def secure(self, args: m.RoomSecure) -> m.RoomInfo:
        room = self._room(args.room)
        _check_budget(args.gb_month)
        self._check_disk()
        await self._privacy.secure(room.id, on=args.on, gb_month=args.gb_month)
        return room_info(self._room(args.room))

    async def safety(self, args: m.MemberRef) -> m.Safety:
        room = self._room(args.room)
        return self._privacy.safety(room.id, _member(room, args.member))

    async def remove(self, args: m.MemberRef) -> m.RoomInfo:
        room = self._room(args.room)
        member = _member(room, args.member)
        if member not in {inbox.member for inbox in room.others}:
            raise UsageError("That member has left the room already.", code="no-such-member")
        self._check_disk()
        await self._privacy.remove(room.id, member)
        return room_info(self._room(args.room))

    async def send_opaque(self, args: m.RoomSendOpaque) -> m.Sent:
        room = self._room(args.room)
        check_messages(args.messages, args.wait)
        self._check_disk()
        return await hand_over(
            self._engine,
            room,
            args.messages,
            submit=lambda effects: self._privacy.send_opaque(
                room.id, args.messages, self._engine.clock.instant(), effects
            ),
            wait=args.wait,
            wait_s=args.wait_s,
        )

    async def exposure(self, args: m.ExposureAsk) -> m.Exposure:
        if not 0 <= args.days_ago < DAYS_KEPT:
            raise UsageError(f"The ledger goes back {DAYS_KEPT - 1} days.", code="usage")
        return await self._privacy.exposure(args.days_ago, self._engine.clock.instant())

    # ------------------------------------------------------------ inside

    def _room(self, name: str) -> Room:
        return find_room(self._engine.node.rooms.rooms.values(), name)

    def _check_disk(self) -> None:
        failure = self._engine.save_failure
        if failure is not None:
            raise failure


def _member(room: Room, text: str) -> MemberId:
    """Another member by its id or the first digits of it. UsageError for oneself, for nobody and for several."""
    wanted = text.strip().lower()
    if len(wanted) < SHORTEST_PREFIX:
        raise UsageError(f"Name a member by at least {SHORTEST_PREFIX} digits of its id.", code="no-such-member")
    if room.me.hex().startswith(wanted):
        raise UsageError("That is you; name another member.", code="that-is-you")
    found = [member for member in room.inboxes if member.hex().startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError("Several members start with that: use more digits.", code="ambiguous-member")
    raise UsageError("No member of this room starts with that.", code="no-such-member")


def _check_budget(gb_month: float | None) -> None:
    low, high = _BUDGET.low or 0.0, _BUDGET.high or math.inf
    if gb_month is not None and not low <= gb_month <= high:  # also refuses what is no number
        raise UsageError(f"The budget is {low:g} to {high:,.0f} GB a month.", code="usage")
