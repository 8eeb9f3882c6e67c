"""Writes the golden vectors beside it, from the text of PROTOCOL.md alone.

It calls nothing of this project and uses another Ed25519 and another HKDF than the project does, so a vector that both
agree on is a statement about the protocol. Run it once per protocol version.
The files stay as they are while version 1 is spoken; a test that fails against them has found a change on the wire.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

HERE = Path(__file__).resolve().parent


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def some_bytes(name: str, length: int = 32) -> bytes:
    """Arbitrary bytes that everybody can make again."""
    out, n = b"", 0
    while len(out) < length:
        out, n = out + sha(b"vector", name.encode(), struct.pack(">H", n)), n + 1
    return out[:length]


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def signature(seed: bytes, name: str, message: bytes) -> bytes:
    label = b"railgun/" + name.encode() + b"/v1\x00"
    return Ed25519PrivateKey.from_private_bytes(seed).sign(label + message)


def derive(salt: bytes, secret: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


def expand(key: bytes, info: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), 32, info).derive(key)


# ---------------------------------------------------------------- 1. identity


def identities() -> list[dict[str, Any]]:
    rows = []
    for n in range(3):
        seed = some_bytes(f"identity {n}")
        public = public_of(Ed25519PrivateKey.from_private_bytes(seed))
        peer_id = sha(b"railgun/peer/v1", b"\x00", public)
        puzzle = int.from_bytes(sha(sha(public)), "big")
        rows.append(
            {
                "seed": seed.hex(),
                "public_key": public.hex(),
                "peer_id": peer_id.hex(),
                "dht_id": peer_id[:20].hex(),
                "shown": peer_id.hex()[:10],
                "puzzle_bits": 256 - puzzle.bit_length(),
                "message": some_bytes(f"message {n}", 40).hex(),
                "record_signature": signature(seed, "record", some_bytes(f"message {n}", 40)).hex(),
            }
        )
    return rows


def ring_key(kind: str, value: bytes) -> bytes:
    return sha(kind.encode(), b"\x00", struct.pack(">H", len(value)), value)[:20]


def ring_keys() -> list[dict[str, str]]:
    values = {"group": bytes((192, 0)), "committee": some_bytes("a tag"), "standing": some_bytes("a peer")}
    return [{"kind": kind, "value": v.hex(), "key": ring_key(kind, v).hex()} for kind, v in values.items()]


# ---------------------------------------------------------------- 3. rooms


def rooms() -> list[dict[str, Any]]:
    rows = []
    for n, epoch in ((0, 0), (0, 1), (1, 3_000_000), (2, 2**63)):
        root = some_bytes(f"room {n}")
        prk = derive(b"railgun/room/v1", root, struct.pack(">Q", epoch))
        ids, sender = expand(prk, b"ids"), some_bytes("sender", 8)
        named = hashlib.blake2b(sender + struct.pack(">QI", 7, 9), key=ids, digest_size=16).digest()
        rows.append(
            {
                "room_root": root.hex(),
                "epoch": epoch,
                "tag": public_of(Ed25519PrivateKey.from_private_bytes(expand(prk, b"sign"))).hex(),
                "seal": expand(prk, b"seal").hex(),
                "ids": ids.hex(),
                "sender": sender.hex(),
                "msg_id_7_9": named.hex(),
                "room_id": sha(b"railgun/room-id/v1", b"\x00", root)[:16].hex(),
            }
        )
    return rows


def invites() -> list[dict[str, Any]]:
    root, expires_s, name = some_bytes("room 0"), 1_900_000_000, "Garden club é"
    payload = b"\x01" + root + struct.pack(">Q", expires_s) + bytes((len(name.encode()),)) + name.encode()
    payload += b"\x02" + b"\x04" + bytes((127, 0, 0, 9)) + struct.pack(">H", 4100)
    payload += b"\x10" + bytes(15) + b"\x01" + struct.pack(">H", 65_535)
    signed = payload + signature(derive(b"railgun/invite/v1", root, b"sign"), "invite", payload)
    mark = sha(b"railgun/room-fingerprint/v1", b"\x00", root)[:8].hex()
    return [
        {
            "room_root": root.hex(),
            "expires_s": expires_s,
            "name": name,
            "hints": [["127.0.0.9", 4100], ["::1", 65_535]],
            "fingerprint": " ".join((mark[:4], mark[4:8], mark[8:12], mark[12:])),
            "link": "railgun://join/" + base64.urlsafe_b64encode(signed).decode().rstrip("="),
        }
    ]


# ---------------------------------------------------------------- 4. committee


def ticket(seed: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, key=seed, digest_size=16).digest()


def draw(seed: bytes, relays: list[tuple[bytes, bytes]], size: int) -> list[dict[str, Any]]:
    """Step 3 of the section, word by word: `relays` are (peer id, group), all eligible."""
    seated: list[bytes] = []
    used_groups: set[bytes] = set()
    rows = []
    for seat in range(size + 3):
        free = [(peer, group) for peer, group in relays if peer not in seated]
        fresh = [(peer, group) for peer, group in free if group not in used_groups]
        pool = fresh or free
        if not pool:
            break
        target = int.from_bytes(sha(seed, bytes((seat,)))[:20], "big")
        groups = sorted({g for _, g in pool}, key=lambda g: int.from_bytes(ring_key("group", g), "big") ^ target)[:16]
        group = min(groups, key=lambda g: ticket(seed, bytes((seat,)) + g))
        rivals = [peer for peer, g in pool if g == group]
        peer = min(rivals, key=lambda p: ticket(seed, b"p" + p))
        seated.append(peer)
        used_groups.add(group)
        rows.append(
            {
                "peer_id": peer.hex(),
                "group": group.hex(),
                "distance_rank": groups.index(group),
                "window": len(groups),
                "rivals": len(rivals),
                "repeated": not fresh,
            }
        )
    return rows


def committees() -> list[dict[str, Any]]:
    rows = []
    for relays_n, groups_n, size, epoch in (
        (90, 40, 5, 3_000_000),
        (60, 60, 7, 1),
        (12, 4, 3, 77),
        (6, 2, 5, 9),
        (2, 2, 3, 5),
    ):
        relays = [(some_bytes(f"relay {n}"), some_bytes(f"group {n % groups_n}", 2)) for n in range(relays_n)]
        tag = some_bytes(f"tag {relays_n}")
        seed = sha(b"railgun/committee/v1", b"\x00", tag, struct.pack(">Q", epoch))
        room = f"room {relays_n}"
        room_seed = sha(struct.pack(">H", len(room)), room.encode(), struct.pack(">Q", epoch))
        rows.append(
            {
                "relays": [[peer.hex(), group.hex()] for peer, group in relays],
                "tag": tag.hex(),
                "epoch": epoch,
                "size": size,
                "seed": seed.hex(),
                "drawn": draw(seed, relays, size),
                "room_id": room,
                "room_members": [row["peer_id"] for row in draw(room_seed, relays, size)[:size]],
            }
        )
    return rows


# ---------------------------------------------------------------- 2. records, 5. envelopes and frames


def records() -> list[dict[str, Any]]:
    seed, sequence, since, expires = some_bytes("identity 0"), 1_800_000_000_500, 1_799_990_000, 1_800_007_000
    public = public_of(Ed25519PrivateKey.from_private_bytes(seed))
    address = b"\x02" + b"\x04" + bytes((127, 1, 2, 3)) + struct.pack(">H", 4101)
    introducer = some_bytes("introducer")
    peer_body = b"\x01" + address + struct.pack(">H", 1 | 4) + b"\x05" + b"0.1.0" + b"\x01\x01" + b"\x01" + introducer
    peer_body += b"\x20" + some_bytes("mix key") + b"\x00" + b"\x03abc" + struct.pack(">H", 425)
    tag, roster = some_bytes("a tag"), [some_bytes(f"relay {n}") for n in range(2)]
    seat_body = tag + struct.pack(">QBH", 3_000_000, 4, 17) + b"\x02" + b"".join(roster)
    rows = []
    for kind, body in ((1, peer_body), (4, seat_body)):
        payload = bytes((1, kind)) + public + struct.pack(">QQQ", sequence, since, expires) + body
        rows.append({"kind": kind, "seed": seed.hex(), "raw": (payload + signature(seed, "record", payload)).hex()})
    return rows


def envelopes() -> list[dict[str, Any]]:
    rows = []
    for size, length in ((256, 0), (256, 224), (4_096, 225), (65_536, 65_504)):
        key, nonce, content = (
            some_bytes(f"key {size}"),
            some_bytes(f"nonce {length}", 12),
            some_bytes("content", length),
        )
        padded = struct.pack(">I", length) + content + bytes(size - 32 - length)
        envelope = nonce + ChaCha20Poly1305(key).encrypt(nonce, padded, None)
        assert len(envelope) == size
        rows.append(
            {
                "size": size,
                "key": key.hex(),
                "nonce": nonce.hex(),
                "content_sha256": sha(content).hex(),
                "content_length": length,
                "envelope_sha256": sha(envelope).hex(),
                "envelope": envelope.hex() if size == 256 else None,
            }
        )
    return rows


def frames() -> dict[str, str]:
    def frame(kind: int, body: bytes) -> str:
        return (struct.pack(">IB", len(body) + 1, kind) + body).hex()

    handle, tag = some_bytes("a tag", 8), some_bytes("a tag")
    ids = [some_bytes(f"id {n}", 16) for n in range(2)]
    two_ids = struct.pack(">H", 2) + b"".join(ids)
    signed = struct.pack(">H", 64) + some_bytes("signature", 64)
    return {
        "OPEN": frame(1, tag + struct.pack(">QBB", 3_000_000, 1, 1) + signed + struct.pack(">H", 3) + b"tok"),
        "OPENED": frame(2, handle + struct.pack(">BBII", 2, 5, 1_000, 2_000)),
        "REFUSED": frame(3, handle + struct.pack(">BI", 4, 1_500)),
        "MISDIRECTED": frame(4, handle + b"\x02" + struct.pack(">H", 3) + b"abc" + struct.pack(">H", 0)),
        "ENVELOPE": frame(5, handle + struct.pack(">I", 1_800_000_600) + ids[0] + some_bytes("sealed", 256)),
        "ACK": frame(6, handle + struct.pack(">QQBB", 9, 8, 3, 5)),
        "NACK": frame(7, handle + struct.pack(">BI", 5, 20) + two_ids),
        "GOT": frame(8, handle + struct.pack(">Q", 12)),
        "HAVE": frame(9, handle + struct.pack(">Q", 13) + two_ids),
        "WANT": frame(10, handle + two_ids),
        "PULL": frame(11, handle + struct.pack(">Q", 14)),
        "PING": frame(12, struct.pack(">Q", 15)),
        "PONG": frame(13, struct.pack(">Q", 16)),
        "BYE": frame(14, handle),
        "PACKET": frame(15, some_bytes("packet", 5_308)),
        "CELL": frame(16, b"\x12" + struct.pack(">IH", 7, 3) + b"abc" + bytes(5_298)),
        "DEPOSIT": frame(
            17,
            tag
            + struct.pack(">QI", 20_833, 1_800_604_800)
            + ids[0]
            + some_bytes("signature", 64)
            + some_bytes("sealed", 256),
        ),
        "RECEIPT": frame(18, handle + ids[0] + struct.pack(">BI", 11, 60_000)),
        "COLLECT": frame(19, tag + struct.pack(">QQB", 20_833, 7, 1) + some_bytes("signature", 64)),
        "COLLECTED": frame(20, handle + struct.pack(">QB", 9, 1)),
        "EVICTED": frame(
            21,
            tag + struct.pack(">QQQIQ", 20_833, 3, 8, 5, 1_800_000_000) + some_bytes("key") + some_bytes("sig", 64),
        ),
        "HEAD": frame(
            23,
            tag
            + struct.pack(">QQQ", 3_000_000, 1_800_000_000, 32)
            + some_bytes("head", 16)
            + some_bytes("key")
            + some_bytes("sig", 64),
        ),
        "OBITUARY": frame(
            22,
            some_bytes("peer")
            + struct.pack(">QQQ", 9, 1_800_000_000, 1_800_000_030)
            + some_bytes("key")
            + some_bytes("sig", 64),
        ),
    }


def main() -> None:
    vectors = {
        "identity": {"identities": identities(), "ring_keys": ring_keys()},
        "rooms": {"epochs": rooms(), "invites": invites()},
        "committee": committees(),
        "records": records(),
        "envelopes": envelopes(),
        "frames": frames(),
    }
    for name, content in vectors.items():
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
