"""Words and error sentences."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app import messages


@pytest.fixture(autouse=True)
def _words_as_written() -> Iterator[None]:
    yield
    messages.use_translator(str)


def test_a_known_code_says_what_happened_and_what_to_do() -> None:
    sentence = messages.error_sentence("room-exists", "engine words")
    assert sentence == "A room with this name exists. Choose another name."


def test_an_unknown_code_falls_back_to_the_engines_own_sentence() -> None:
    assert messages.error_sentence("something-new", "The moon is full.") == "The moon is full."
    assert "something-new" in messages.error_sentence("something-new", "")


def test_every_sentence_passes_the_translator() -> None:
    messages.use_translator(lambda text: text.upper())
    assert messages.tr("Paused") == "PAUSED"
    assert messages.error_sentence("room-exists", "") == "A ROOM WITH THIS NAME EXISTS. CHOOSE ANOTHER NAME."


def test_values_are_filled_in_after_translation() -> None:
    messages.use_translator(lambda text: text.replace("room", "Raum"))
    assert messages.tr_count("for {n} room", "for {n} rooms", 1) == "for 1 Raum"
    assert messages.tr_count("for {n} room", "for {n} rooms", 1_204) == "for 1\u202f204 Raums"
