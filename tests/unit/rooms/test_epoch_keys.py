"""A room's keys: the golden vectors, and nothing that links one epoch to the next."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MemberId, PublicKey
from railgun_core.base.keys import verify
from railgun_core.rooms.epoch_keys import epoch_keys, member_id_of, room_id_of
from tests.unit.vectors.reading import vectors

ROOTS = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("vector", vectors("rooms")["epochs"], ids=lambda v: str(v["epoch"]))
def test_the_keys_of_an_epoch_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    root = bytes.fromhex(vector["room_root"])
    keys = epoch_keys(root, vector["epoch"])
    assert keys.tag.hex() == vector["tag"]
    assert keys.seal.hex() == vector["seal"]
    assert keys.ids.hex() == vector["ids"]
    assert keys.msg_id(MemberId(bytes.fromhex(vector["sender"])), 7, 9).hex() == vector["msg_id_7_9"]
    assert room_id_of(root).hex() == vector["room_id"]


@given(ROOTS, st.integers(0, 2**64 - 1))
def test_every_member_derives_the_same_keys(root: bytes, epoch: int) -> None:
    mine, yours = epoch_keys(root, epoch), epoch_keys(bytes(bytearray(root)), epoch)
    assert (mine.tag, mine.seal, mine.ids) == (yours.tag, yours.seal, yours.ids)
    assert verify(yours.tag, "open", b"binding", mine.sign.sign("open", b"binding"))


def test_nothing_repeats_over_epochs_and_rooms(rng: random.Random) -> None:
    seen: set[bytes] = set()
    roots = [rng.randbytes(32) for _ in range(5)]
    for root in roots:
        for epoch in range(40):
            keys = epoch_keys(root, epoch)
            seen |= {keys.tag, keys.seal, keys.ids, keys.sign.seed}
    assert len(seen) == 4 * 5 * 40


def test_an_item_has_another_id_in_each_epoch_and_generation(rng: random.Random) -> None:
    root, senders = rng.randbytes(32), [MemberId(rng.randbytes(8)) for _ in range(4)]
    ids = {
        epoch_keys(root, epoch).msg_id(sender, seq, generation)
        for epoch in (1, 2)
        for sender in senders
        for seq in range(1, 50)
        for generation in (1, 9)
    }
    assert len(ids) == 2 * 4 * 49 * 2
    assert {len(msg_id) for msg_id in ids} == {16}


def test_keys_do_not_show_in_their_repr(rng: random.Random) -> None:
    keys = epoch_keys(rng.randbytes(32), 1)
    shown = repr(keys)
    for secret in (keys.seal, keys.ids, keys.sign.seed):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_a_members_name_follows_from_its_key_and_a_rooms_name_from_its_root(rng: random.Random) -> None:
    key, root = PublicKey(rng.randbytes(32)), rng.randbytes(32)
    assert member_id_of(key) == member_id_of(key)
    assert (len(member_id_of(key)), len(room_id_of(root))) == (8, 16)
    assert room_id_of(root) not in root
