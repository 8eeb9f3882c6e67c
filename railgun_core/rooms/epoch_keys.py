"""What a room is called and sealed with in one epoch, all from `room_root`.

    prk_e  = HKDF-SHA256(salt "railgun/room/v1", room_root, info u64be(e))
    sign_e = Ed25519 from HKDF(prk_e, "sign"); tag_e = its public key: the room's name on every wire
    seal_e = HKDF(prk_e, "seal"): closes envelopes
    ids_e  = HKDF(prk_e, "ids"): names envelopes

Mail, which waits for members who are away, has an epoch of a day and keys of its own: info "mail" || u64be(day).

Who knows a tag can check a member's signature; without `room_root` nobody links two epochs' tags or predicts one.
Source: RFC 5869; PROTOCOL.md, "Rooms".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from railgun_core.base.hashing import hkdf_expand, hkdf_extract, tagged_hash, u64
from railgun_core.base.ids import MemberId, MsgId, PublicKey, RoomId, Tag
from railgun_core.base.keys import Identity

_SALT = b"railgun/room/v1"


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """The keys of one room for one epoch. About 100 us to derive."""

    epoch: int
    sign: Identity
    tag: Tag
    seal: bytes = field(repr=False)
    ids: bytes = field(repr=False)

    def msg_id(self, sender: MemberId, seq: int, generation: int) -> MsgId:
        """The id of a sender's item in this epoch: members can ask for what they miss by name.

        Relays push an id once. So what is encrypted again, for those who lacked the keys at first, is named anew.
        """
        name = sender + u64(seq) + generation.to_bytes(4, "big")
        return MsgId(hashlib.blake2b(name, key=self.ids, digest_size=16).digest())


def epoch_keys(room_root: bytes, epoch: int) -> EpochKeys:
    """The keys of a room for an epoch."""
    return _derived(room_root, u64(epoch), epoch)


def mail_keys(room_root: bytes, day: int) -> EpochKeys:
    """The keys of a room's mail for a day: no epoch has the same, and no two days' tags can be linked."""
    return _derived(room_root, b"mail" + u64(day), day)


def _derived(room_root: bytes, info: bytes, epoch: int) -> EpochKeys:
    prk = hkdf_expand(hkdf_extract(_SALT, room_root), info, 32)
    sign = Identity(hkdf_expand(prk, b"sign", 32))
    return EpochKeys(epoch, sign, Tag(sign.public_key), hkdf_expand(prk, b"seal", 32), hkdf_expand(prk, b"ids", 32))


def room_id_of(room_root: bytes) -> RoomId:
    """What this device calls a room. Never leaves it."""
    return RoomId(tagged_hash("room-id", room_root)[:16])


def member_id_of(public_key: PublicKey) -> MemberId:
    """A member's name inside sealed envelopes; fresh for every room and every join."""
    return MemberId(tagged_hash("member", public_key)[:8])
