"""Guard against a PySide6 that loses a reference to None at every call of a function without a result.

Where it does (6.12.0 on Python 3.11), the count of None reaches zero after some thousand calls and the process aborts.
From Python 3.12 on None is immortal and its count never moves.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject

CALLS = 2_000


def test_calls_without_a_result_keep_the_references_to_none() -> None:
    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        thing.setObjectName("thing")
    assert abs(sys.getrefcount(None) - before) < CALLS // 10
