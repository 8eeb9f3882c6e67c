"""A new member key in a room, when the old one may have been used beyond what is known here.

A store put back from a backup has forgotten items it sent and sessions it used. Going on would use sequences and keys
twice, so the device becomes a new member: new key, new account, no session. What was on its way or not confirmed by
all goes out again in the new stream, because whether it arrived is not known: it may be shown twice, it is not lost.
The old key says goodbye and names its successor. It is noticed by the store (a mark beside it that is ahead), or by a
member that has more of our stream than we do.
"""

from __future__ import annotations

from dataclasses import replace

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MemberId, PublicKey
from railgun_core.base.keys import SEED_BYTES, Identity
from railgun_core.changes import Change, SecretPut, StoredRoom
from railgun_core.events import Effect, Noticed, Save
from railgun_core.rooms.content import Mood, Sync, encode_sync, signed_sync
from railgun_core.rooms.keyring import Keyring
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.room import Room, RoomContext

FAREWELLS = 4  # said with as many syncs: one of them arrives
_NAME, _IDS = "former-key", "former-ids"


def renew(room: Room, context: RoomContext, now: Instant) -> tuple[Change, ...]:
    """Become a new member; what has to be saved before anything else is said."""
    old, former_seed = room.ring, room.put.member_seed
    first = room.outbox.first_open
    ring = Keyring.create(context.rng.randbytes(SEED_BYTES), now.unix_s, top_seq=room.outbox.last_seq)
    ring.stream_first = first
    for member, fellow in old.fellows.items():
        ring.fellow(member).key = fellow.key
    gone = (SecretPut(room.id, name, None) for member in old.fellows for name in _rows_of(member.hex()))
    room.put = replace(room.put, member_seed=ring.me.seed)
    room.enter_with(ring)
    room.outbox.begin_again(first)
    room.mail.begin_again()
    room.farewells, room.former_key = FAREWELLS, former_seed
    ids = SecretPut(room.id, _IDS, b"".join(sorted(room.former_ids)))
    return (room.put, *gone, ring.account_put(room.id), SecretPut(room.id, _NAME, former_seed), ids)


def overtaken(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Somebody has more of our stream than we ever sent, as far as is known here: at most once a start."""
    if not room.renewed:
        room.renewed = True
        out.append(Save(context.when_saved(lambda then, effects: None), renew(room, context, now)))
        out.append(Noticed("new-device-key"))


def restore(room: Room, saved: StoredRoom) -> None:
    """Know oneself again after a restart, and go on saying goodbye."""
    rows = {secret.name: secret.value for secret in saved.secrets}
    ids = rows.get(_IDS) or b""
    room.former_ids = {MemberId(ids[at : at + 8]) for at in range(0, len(ids), 8)}
    former = rows.get(_NAME)
    if former:
        room.farewells, room.former_key = FAREWELLS, former


def farewell(room: Room, context: RoomContext, lane: Lane, out: list[Effect]) -> bytes | None:
    """The old key's goodbye, while it has to be said."""
    if not room.farewells:
        return None
    room.farewells -= 1
    if not room.farewells:
        out.append(Save(context.when_saved(lambda then, effects: None), (SecretPut(room.id, _NAME, None),)))
    former = Identity(room.former_key)
    key, last = PublicKey(former.public_key), room.outbox.last_seq
    draft = Sync(key, Mood.LEAVING, room.ring.stream_first, last, (), successor=room.ring.me.public_key)
    return encode_sync(signed_sync(draft, former, lane.keys.tag))


def _rows_of(member: str) -> tuple[str, str]:
    return f"member/{member}", f"group/{member}"
