"""The Sphinx header: made once by the client, opened and turned into the next one at each hop.

alpha is a group element that every hop blinds, beta the slots under one keystream for each hop, the MAC covers
version, alpha and beta. The maker computes the filler that hops will append, so that each MAC fits. Unused slots are
random (zeros there would show the last hop how long the path was: Kuhn et al. 2020).
What must stay true: a header that any hop did not get exactly as made is refused there, before its orders are read.
Source: Danezis and Goldberg (2009); slot and key layout as Katzenpost publishes them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.rng import Rng
from railgun_core.mix.sphinx import commands, keys
from railgun_core.mix.sphinx.commands import Slot
from railgun_core.mix.sphinx.geometry import ALPHA_AT, BETA_AT, KEY_BYTES, NODE_ID_BYTES, SLOT_BYTES, VERSION, Geometry
from railgun_core.mix.sphinx.keys import HopKeys


@dataclass(frozen=True, slots=True)
class Hop:
    """One station of a path: whose it is (32 bytes), its mix public key (32 bytes), how long it shall wait."""

    node_id: bytes
    key: bytes
    delay_ms: int = 0


class Opened(NamedTuple):
    """A header as one hop reads it; the next header is None at the last hop. A tuple, for it is made at every hop."""

    tag: bytes
    payload_key: bytes
    slot: Slot
    next_header: bytes | None

    def __repr__(self) -> str:
        return "Opened()"


def make_header(path: Sequence[Hop], *, last: Slot, rng: Rng, geometry: Geometry) -> tuple[bytes, tuple[bytes, ...]]:
    """The header, and each hop's payload key. About 90 us for each hop.

    `last` holds what the last hop is told beside its delay. MalformedFrame when the path is empty, longer than the
    slots, or holds a key that agrees on nothing.
    """
    if not 1 <= len(path) <= geometry.slots or any(len(hop.node_id) != NODE_ID_BYTES for hop in path):
        raise MalformedFrame("a path does not fit a mix packet")
    alphas, shared = _agree(path, rng.randbytes(KEY_BYTES))
    pads, streams = _keystreams(shared, geometry)
    count = len(path)
    beta = rng.randbytes((geometry.slots - count) * SLOT_BYTES)
    mac = b""
    for index in range(count - 1, -1, -1):
        hop = path[index]
        if index == count - 1:
            slot = Slot(hop.delay_ms, recipient=last.recipient, reply_id=last.reply_id)
        else:
            slot = Slot(hop.delay_ms, path[index + 1].node_id, mac)
        beta = _xor(commands.encode(slot) + beta, streams[index])
        filler = pads[index - 1] if index else b""
        mac = shared[index].header_mac(VERSION + alphas[index] + beta + filler)
    return VERSION + alphas[0] + beta + mac, tuple(one.payload for one in shared)


def open_header(private: bytes, header: bytes, geometry: Geometry) -> Opened:
    """Check a header with a hop's private key: MalformedFrame on every flaw. About 130 us."""
    mac_at = geometry.mac_at
    if len(header) != geometry.header_bytes or header[:ALPHA_AT] != VERSION:
        raise MalformedFrame("a mix packet has the wrong form")
    alpha = header[ALPHA_AT:BETA_AT]
    shared = keys.derive(keys.multiply(private, alpha))
    mac, tag = shared.mac_and_tag(header[:mac_at])
    if not hmac.compare_digest(mac, header[mac_at:]):
        raise MalformedFrame("a mix packet's header was changed, or is for another key")
    plain = shared.keystream_xor(header[BETA_AT:mac_at] + bytes(SLOT_BYTES))
    slot = commands.decode(plain[:SLOT_BYTES])
    if slot.next_mac is None:
        return Opened(tag, shared.payload, slot, None)
    blinded = keys.multiply(shared.blinding_scalar(), alpha)
    return Opened(tag, shared.payload, slot, VERSION + blinded + plain[SLOT_BYTES:] + slot.next_mac)


def _agree(path: Sequence[Hop], ephemeral: bytes) -> tuple[list[bytes], list[HopKeys]]:
    """Each hop's alpha and keys. The exponent of hop i is the maker's secret times all blindings before it."""
    exponent = keys.clamped(ephemeral)
    alphas, shared = [], []
    for hop in path:
        scalar = keys.scalar_bytes(exponent)
        alphas.append(keys.public_key(scalar))
        found = keys.derive(keys.multiply(scalar, hop.key))
        shared.append(found)
        exponent = keys.product(exponent, keys.clamped(found.blinding_scalar()))
    return alphas, shared


def _keystreams(shared: Sequence[HopKeys], geometry: Geometry) -> tuple[list[bytes], list[bytes]]:
    """For each hop the filler that beta ends with after it, and the keystream over the part before that."""
    whole = bytes(geometry.beta_bytes + SLOT_BYTES)
    pads: list[bytes] = []
    streams: list[bytes] = []
    for index, one in enumerate(shared):
        stream = one.keystream_xor(whole)
        cut = len(stream) - (index + 1) * SLOT_BYTES
        before = pads[-1] if pads else b""
        pads.append(_xor(before + bytes(SLOT_BYTES), stream[cut:]))
        streams.append(stream[:cut])
    return pads, streams


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")
