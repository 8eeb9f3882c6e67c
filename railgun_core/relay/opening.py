"""May this OPEN become a session? A pure check, in the order of its cost."""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import PublicKey, peer_id_of
from railgun_core.base.keys import verify
from railgun_core.committee.epoch import EpochClock
from railgun_core.committee.selection import Committee
from railgun_core.wire.frames import Open, Role
from railgun_core.wire.kinds import Refusal


def open_message(binding: bytes, frame: Open) -> bytes:
    """What a member signs with the room's epoch key: this link, this epoch, this role."""
    return binding + frame.epoch.to_bytes(8, "big") + bytes((frame.role,))


def refusal_of(
    frame: Open, remote_key: PublicKey, binding: bytes, committee: Committee, clock: EpochClock, now: Instant
) -> Refusal | None:
    """Why not, or None.

    The epoch must be in preparation, service or overlap, give or take one overlap for clocks that differ. A member
    proves that it knows the room by the tag's key over the link's binding, about 100 us; a relay must be in the roster.
    """
    slack_s = clock.overlap_s
    if not clock.prepare_s(frame.epoch) - slack_s <= now.unix_s < clock.retire_s(frame.epoch):
        return Refusal.WRONG_EPOCH
    if frame.role is Role.RELAY:
        return None if committee.seat_of(peer_id_of(remote_key)) is not None else Refusal.NOT_SERVING
    if not verify(frame.tag, "open", open_message(binding, frame), frame.signature):
        return Refusal.BAD_SIGNATURE
    return None
