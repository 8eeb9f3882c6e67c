"""Safety numbers: the same from both sides, another for every key, spelled in digits, words and a QR text."""

from __future__ import annotations

import hashlib
import random

from railgun_core.base.keys import Identity
from railgun_core.ratchet.safety import ITERATIONS, VERSION, safety_number
from railgun_core.ratchet.words import WORDS


def keys(rng: random.Random, count: int) -> list[bytes]:
    return [bytes(Identity(rng.randbytes(32)).public_key) for _ in range(count)]


def test_both_sides_see_the_same_number_and_everybody_else_another(rng: random.Random) -> None:
    ann, bob, eve = keys(rng, 3)
    assert safety_number(ann, bob) == safety_number(bob, ann)
    spelled = [safety_number(*two) for two in ((ann, bob), (ann, eve), (bob, eve))]
    for spelling in ("digits", "words", "qr"):
        assert len({getattr(number, spelling) for number in spelled}) == 3


def test_the_number_is_twelve_groups_of_five_digits_and_24_words(rng: random.Random) -> None:
    number = safety_number(*keys(rng, 2))
    groups = number.digits.split(" ")
    assert [len(group) for group in groups] == [5] * 12
    assert number.digits.replace(" ", "").isdigit()
    assert len(number.words) == 24
    assert set(number.words) <= set(WORDS)
    assert number.qr.startswith("railgun:safety/1/")
    assert len(number.qr) == len("railgun:safety/1/") + 80


def test_the_digits_follow_from_the_keys_as_written_down(rng: random.Random) -> None:
    ann, bob = keys(rng, 2)
    halves = []
    for key in (ann, bob):
        digest = VERSION + key
        for _ in range(ITERATIONS):
            digest = hashlib.sha512(digest + key).digest()
        halves.append(digest[:30])
    joined = b"".join(sorted(halves))
    digits = [f"{int.from_bytes(joined[at : at + 5], 'big') % 100_000:05d}" for at in range(0, 60, 5)]
    assert safety_number(ann, bob).digits == " ".join(digits)


def test_the_words_are_2048_and_known_by_their_first_four_letters() -> None:
    assert len({word[:4] for word in WORDS}) == len(WORDS) == 2_048
    assert list(WORDS) == sorted(WORDS)
    assert hashlib.sha256(("\n".join(WORDS) + "\n").encode()).hexdigest() == (
        "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    )
