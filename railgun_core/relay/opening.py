"""May this OPEN become a session? Pure checks, in the order of their cost; the committee comes last (draws.py)."""

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


def refusal_of(frame: Open, binding: bytes, clock: EpochClock, now: Instant) -> Refusal | None:
    """Why not, as far as can be said without the tag's committee; or None.

    The epoch must be in preparation, service or overlap, give or take one overlap for clocks that differ. A member
    proves that it knows the room by the tag's key over the link's binding, about 100 us.
    """
    if not clock.prepare_s(frame.epoch) - clock.overlap_s <= now.unix_s < clock.retire_s(frame.epoch):
        return Refusal.WRONG_EPOCH
    if frame.role is Role.MEMBER and not verify(frame.tag, "open", open_message(binding, frame), frame.signature):
        return Refusal.BAD_SIGNATURE
    return None


def is_in_roster(remote_key: PublicKey, committee: Committee) -> bool:
    """Whether a relay has a place among the seats and standbys; its link proves who it is."""
    return committee.seat_of(peer_id_of(remote_key)) is not None
