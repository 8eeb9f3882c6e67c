"""Named deadlines: a heap that behaves like a plain dictionary of deadlines would."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from railgun_core.base.timers import Timers

NAMES = st.sampled_from("abcde")
TIMES = st.integers(0, 40).map(float)


class TimersMachine(RuleBasedStateMachine):
    """Every step is done here and on a dictionary; they must never disagree."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: Timers[str] = Timers()
        self.plain: dict[str, float] = {}

    @rule(name=NAMES, at_s=TIMES)
    def set_a_deadline(self, name: str, at_s: float) -> None:
        self.timers.set(name, at_s)
        self.plain[name] = at_s

    @rule(name=NAMES, at_s=TIMES)
    def set_an_earlier_one(self, name: str, at_s: float) -> None:
        self.timers.set_earlier(name, at_s)
        self.plain[name] = min(at_s, self.plain.get(name, at_s))

    @rule(name=NAMES)
    def cancel_one(self, name: str) -> None:
        self.timers.cancel(name)
        self.plain.pop(name, None)

    @rule(now_s=TIMES)
    def pop_what_is_due(self, now_s: float) -> None:
        due = self.timers.pop_due(now_s)
        assert sorted(due) == sorted(name for name, at_s in self.plain.items() if at_s <= now_s)
        assert [self.plain[name] for name in due] == sorted(self.plain[name] for name in due)
        for name in due:
            del self.plain[name]

    @invariant()
    def the_next_deadline_is_the_earliest(self) -> None:
        assert self.timers.next_s() == min(self.plain.values(), default=None)


TestTimers = TimersMachine.TestCase
TestTimers.settings = settings(max_examples=settings.default.max_examples // 4, stateful_step_count=25)


def test_names_with_the_same_deadline_come_in_the_order_they_were_set() -> None:
    timers: Timers[str] = Timers()
    for name in "cab":
        timers.set(name, 1.0)
    assert timers.pop_due(1.0) == ["c", "a", "b"]


def test_names_that_have_no_order_may_share_a_deadline() -> None:
    timers: Timers[object] = Timers()
    names = [object(), object()]
    for name in names:
        timers.set(name, 1.0)
    assert timers.pop_due(2.0) == names
