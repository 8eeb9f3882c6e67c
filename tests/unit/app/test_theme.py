"""The palettes: complete, and readable by computation."""

from __future__ import annotations

import pytest

from app.stylesheet import stylesheet
from app.theme import WORD_PAIRS, Scheme, contrast, load_tokens

PALETTES = (Scheme.LIGHT, Scheme.DARK, Scheme.HIGH_CONTRAST)


@pytest.mark.parametrize("scheme", PALETTES)
def test_every_word_on_its_ground_has_a_contrast_of_at_least_4_5(scheme: Scheme) -> None:
    tokens = load_tokens(scheme)
    low = {
        (word, ground): round(contrast(getattr(tokens, word), getattr(tokens, ground)), 2)
        for word, ground in WORD_PAIRS
        if contrast(getattr(tokens, word), getattr(tokens, ground)) < 4.5
    }
    assert low == {}


def test_contrast_is_what_the_standard_says() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def test_high_contrast_words_reach_seven() -> None:
    tokens = load_tokens(Scheme.HIGH_CONTRAST)
    assert min(contrast(getattr(tokens, word), getattr(tokens, ground)) for word, ground in WORD_PAIRS) >= 7.0


@pytest.mark.parametrize("scheme", PALETTES)
def test_the_stylesheet_takes_every_colour_from_the_palette(scheme: Scheme) -> None:
    tokens = load_tokens(scheme)
    sheet = stylesheet(tokens, mono="Mono")
    known = {getattr(tokens, name) for name in tokens.__slots__}
    used = {word.rstrip(";,") for word in sheet.split() if word.startswith("#") and word.rstrip(";,")[1:].isalnum()}
    colours = {word for word in used if len(word) == 7 and all(c in "0123456789ABCDEFabcdef" for c in word[1:])}
    assert colours <= known
    assert tokens.bg in colours
