"""What the privacy verbs ask of the engine: one port, implemented in engine/privacy.py as `Engine.privacy`.

The engine lies below this package and cannot import it: it fits the port by its shape alone, and answers with values
of railgun_core/status.py. Rooms and members are resolved by the verbs, so the port only gets ids that exist in this
node, and `remove` and `safety` never get this person itself. Whatever changes something is durable when it returns.
A refusal is a UsageError with one sentence: no key of that member was heard yet (code `no-key-yet`), the room is
changing just now (`room-is-changing`), high security asked for where it cannot be (`not-possible`). A delay that is
not finite is -1 in a Price.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.events import Effect
from railgun_core.status import Exposure, Price, Safety


class PrivacyPort(Protocol):
    """High security, safety numbers, removal, opaque bytes and the exposure ledger of one engine."""

    def price(self, room: RoomId, gb_month: float | None, now: Instant) -> Price:
        """What high security costs at a budget; None: at the one that is set. Reads only."""

    async def secure(self, room: RoomId, *, on: bool, gb_month: float | None) -> None:
        """Switch high security. A budget that is named is kept for all high-security rooms and after a restart."""

    def safety(self, room: RoomId, member: MemberId) -> Safety:
        """The safety number of this person and that member. UsageError while its key is not known."""

    async def remove(self, room: RoomId, member: MemberId) -> None:
        """Give those who stay a new root; the member opens nothing that is sent from then on."""

    async def exposure(self, days_ago: int, now: Instant) -> Exposure:
        """The ledger of a day; without roles when nothing was written that day."""

    def send_opaque(self, room: RoomId, messages: Sequence[bytes], now: Instant, out: list[Effect]) -> tuple[int, int]:
        """Queue bytes that the caller encrypted, as Rooms.submit does: effects appended, first and last sequence."""
