"""Bounds of a demo run, each refused with one sentence before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.demo.options import DemoOptions


def test_the_defaults_are_a_valid_run() -> None:
    assert DemoOptions().peers >= DemoOptions().members


@pytest.mark.parametrize(
    "wrong",
    [
        {"peers": 0},
        {"peers": 1_000},
        {"peers": 2, "members": 3},
        {"members": 0},
        {"epoch_s": 1},
        {"duration_s": 0},
        {"duration_s": float("nan")},
        {"rate_per_s": -1},
        {"kill": 8},
        {"transport": "webrtc"},
        {"seed": -1},
    ],
    ids=str,
)
def test_wrong_options_are_refused_with_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        DemoOptions(**wrong)
    assert caught.value.detail.endswith(".")
