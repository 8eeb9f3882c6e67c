"""Ids against the golden vectors, and what people see of them."""

from __future__ import annotations

from typing import Any

import pytest

from railgun_core.base.ids import (
    DHT_ID_BYTES,
    Group,
    PeerId,
    PublicKey,
    Tag,
    dht_id_of,
    group_key,
    handle_of,
    peer_id_of,
    ring_key,
    short,
)
from tests.unit.vectors.reading import vectors

VECTORS = vectors("identity")


@pytest.mark.parametrize("vector", VECTORS["identities"])
def test_ids_follow_from_the_key_as_in_the_vectors(vector: dict[str, Any]) -> None:
    peer_id = peer_id_of(PublicKey(bytes.fromhex(vector["public_key"])))
    assert peer_id.hex() == vector["peer_id"]
    assert dht_id_of(peer_id).hex() == vector["dht_id"]
    assert short(peer_id) == vector["shown"]


@pytest.mark.parametrize("vector", VECTORS["ring_keys"])
def test_ring_keys_are_those_of_the_vectors(vector: dict[str, str]) -> None:
    assert ring_key(vector["kind"], bytes.fromhex(vector["value"])).hex() == vector["key"]


def test_a_groups_place_is_its_ring_key() -> None:
    assert group_key(Group(b"\x7f\x00")) == ring_key("group", b"\x7f\x00")
    assert len(group_key(Group(b"\x7f\x00"))) == DHT_ID_BYTES


def test_no_two_kinds_or_lengths_share_a_ring_key() -> None:
    keys = [
        ring_key("a", b"bc"),
        ring_key("ab", b"c"),
        ring_key("a", b"bc\x00"),
        ring_key("a", b""),
        ring_key("", b"a"),
    ]
    assert len(set(keys)) == len(keys)


def test_a_tags_handle_is_its_first_eight_bytes() -> None:
    assert handle_of(Tag(bytes(range(32)))) == bytes(range(8))


def test_people_see_ten_characters_of_an_id() -> None:
    assert short(PeerId(b"\xab" * 32)) == "ababababab"
