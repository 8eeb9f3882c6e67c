"""The bound on what waits in all links together."""

from __future__ import annotations

from railgun_core.transport.backlog import Backlog


def test_links_within_the_bound_are_left_alone() -> None:
    backlog, closed = Backlog(1_000), list[str]()
    backlog.note("a", 400, lambda: closed.append("a"))
    backlog.note("b", 450, lambda: closed.append("b"))
    assert (closed, backlog.bytes) == ([], 850)


def test_above_nine_tenths_the_longest_queue_is_closed_and_no_other() -> None:
    backlog, closed = Backlog(1_000), list[str]()
    backlog.note("slow", 600, lambda: closed.append("slow"))
    backlog.note("quick", 301, lambda: closed.append("quick"))
    assert (closed, backlog.bytes) == (["slow"], 301)


def test_a_queue_that_shrinks_or_ends_no_longer_counts() -> None:
    backlog, closed = Backlog(1_000), list[str]()
    backlog.note("a", 800, lambda: closed.append("a"))
    backlog.note("a", 100, lambda: closed.append("a"))
    assert backlog.bytes == 100
    backlog.forget("a")
    backlog.forget("a")
    assert (closed, backlog.bytes) == ([], 0)
