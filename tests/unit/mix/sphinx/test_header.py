"""Published vectors run through production code bit for bit: headers, SURBs, key derivation, blinding, LIONESS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from railgun_core.mix.sphinx import (
    Geometry,
    SurbKeys,
    commands,
    keys,
    lioness,
    open_reply,
    packet_from_surb,
    public_key,
    unwrap,
)
from railgun_core.mix.sphinx.header import open_header
from railgun_core.mix.sphinx.keys import HopKeys

HERE = Path(__file__).parent / "vectors"
SMALL = Geometry(slots=5, payload_bytes=103)


def _load(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


HEADERS = _load("katzenpost_headers.json")["vectors"]
KEYS = _load("katzenpost_keys.json")
LIONESS = _load("lioness.json")["vectors"]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


def _name(vector: Any) -> str:
    return f"{vector['kind']}-{len(vector['hops'])}"


def test_the_published_set_is_whole() -> None:
    assert sum(len(vector["headers"]) for vector in HEADERS) == 30
    assert sorted(map(_name, HEADERS)) == sorted(f"{kind}-{n}" for kind in ("forward", "surb") for n in range(1, 6))


@pytest.mark.parametrize("vector", HEADERS, ids=_name)
def test_every_published_header_turns_into_the_next_one(vector: Any) -> None:
    hops, headers = vector["hops"], vector["headers"]
    for index, hop in enumerate(hops):
        opened = open_header(_bytes(hop["private"]), _bytes(headers[index]), SMALL)
        assert public_key(_bytes(hop["private"])).hex() == hop["public"]
        slot = opened.slot
        if index + 1 < len(hops):
            assert opened.next_header is not None
            assert opened.next_header.hex() == headers[index + 1]
            assert slot.next_hop == _bytes(hops[index + 1]["id"])
        else:
            assert opened.next_header is None
        orders = commands.encode(slot._replace(next_hop=None, next_mac=None))
        published = _bytes("".join(hop["commands"]))
        assert orders == published.ljust(82, b"\x00")


@pytest.mark.parametrize("vector", [one for one in HEADERS if one["kind"] == "surb"], ids=_name)
def test_the_keys_of_published_reply_blocks_are_what_the_hops_derive(vector: Any) -> None:
    surb, kept = _bytes(vector["surb"]), vector["surb_keys"]
    hops = vector["hops"]
    assert len(kept) == 2 * 64 * (len(hops) + 1)
    for index, hop in enumerate(hops):
        alpha = _bytes(vector["headers"][index])[2:34]
        found = keys.derive(keys.multiply(_bytes(hop["private"]), alpha))
        place = 128 * (len(hops) - 1 - index)  # published last hop first
        assert kept[place : place + 128] == (found.payload + found.stream_iv).hex()
    assert kept[-128:] == surb[-64:].hex()


@pytest.mark.parametrize("vector", [one for one in HEADERS if one["kind"] == "surb"], ids=_name)
def test_a_published_reply_block_carries_a_reply(vector: Any) -> None:
    hops = vector["hops"]
    first, packet = packet_from_surb(_bytes(vector["surb"]), b"heard you", geometry=SMALL)
    assert first == _bytes(hops[0]["id"])
    hop_keys = []
    for index, hop in enumerate(hops):
        assert packet[:476].hex() == vector["headers"][index]
        hop_keys.append(keys.derive(keys.multiply(_bytes(hop["private"]), packet[2:34])).payload)
        done = unwrap(_bytes(hop["private"]), packet, geometry=SMALL)
        packet = done.packet or b""
    assert done.payload is not None
    block = done.payload
    kept = SurbKeys(tuple(hop_keys), _bytes(vector["surb"])[-64:])
    assert open_reply(block, kept, geometry=SMALL).rstrip(b"\x00") == b"heard you"


@pytest.mark.parametrize("vector", KEYS["kdf"])
def test_key_derivation_as_published(vector: Any) -> None:
    parts = (vector[name] for name in ("mac", "stream", "stream_iv", "payload", "blinding"))
    assert keys.derive(_bytes(vector["secret"])).okm.hex() == "".join(parts)


@pytest.mark.parametrize("vector", KEYS["blinding"])
def test_blinding_scalar_as_published(vector: Any) -> None:
    assert HopKeys(bytes(128) + _bytes(vector["seed"])).blinding_scalar().hex() == vector["scalar"]


@pytest.mark.parametrize("vector", LIONESS, ids=lambda vector: str(len(vector["block"]) // 2))
def test_lioness_as_published(vector: Any) -> None:
    key = _bytes(vector["key"]) + _bytes(vector["iv"])
    assert lioness.encrypt(key, _bytes(vector["block"])).hex() == vector["want"]
    assert lioness.decrypt(key, _bytes(vector["want"])).hex() == vector["block"]
