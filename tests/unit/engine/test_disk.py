"""A disk that fills up: said once, a mailbox stops in time, and gives back before own messages would be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from railgun_core.base.clock import Instant
from railgun_core.engine.disk import STOP_BELOW_BYTES, DiskWatch
from railgun_core.events import Effect
from railgun_core.store.writer import FULL_BELOW_BYTES

MB = 1024 * 1024
NOW = Instant(1.0, 1_800_000_000.0)


class Recorded:
    """An engine with or without a mailbox; `evicted`: how much it was told to give back."""

    def __init__(self, *, mailbox: bool, emptying: bool = False) -> None:
        self.node = self.mailbox = cast("Any", self)
        self.serves, self.is_emptying = mailbox, emptying
        self.evicted: list[int] = []
        self.notices: list[tuple[str, str, str]] = []

    def evict(self, needed_bytes: int, now: Instant, out: list[Effect]) -> None:
        self.evicted.append(needed_bytes)

    def carry_out(self, effects: list[Effect]) -> None:
        assert effects == []

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        self.notices.append((code, level, detail))


def watched(engine: Recorded, *free_bytes: int) -> Recorded:
    left = iter(free_bytes)
    watch = DiskWatch(engine, Path("/"), lambda folder: next(left))
    for _ in free_bytes:
        watch.look(NOW)
    return engine


def test_enough_room_is_no_news() -> None:
    engine = watched(Recorded(mailbox=True), STOP_BELOW_BYTES, 10 * STOP_BELOW_BYTES)
    assert (engine.evicted, engine.notices) == ([], [])


def test_below_256_mb_a_mailbox_rests_and_below_64_it_gives_back_what_lacks() -> None:
    engine = watched(Recorded(mailbox=True), 200 * MB, FULL_BELOW_BYTES - 5 * MB, 300 * MB)
    assert engine.evicted == [0, 5 * MB]
    assert engine.notices == [("disk-low", "warning", "209 MB are free"), ("disk-has-room", "info", "314 MB are free")]


def test_what_was_given_back_is_not_asked_for_again_though_the_disk_shows_nothing_of_it() -> None:
    low = FULL_BELOW_BYTES - 5 * MB
    engine = watched(Recorded(mailbox=True), low, low, low - 2 * MB, low, 300 * MB, low)
    assert engine.evicted == [5 * MB, 0, 2 * MB, 0, 5 * MB]


def test_who_is_no_mailbox_has_nothing_to_give_back_and_says_so_all_the_same() -> None:
    engine = watched(Recorded(mailbox=False), 1 * MB, 1 * MB)
    assert engine.evicted == []
    assert [code for code, _, _ in engine.notices] == ["disk-low"]


def test_who_keeps_mail_no_more_still_gives_back_what_is_left_of_it() -> None:
    engine = watched(Recorded(mailbox=False, emptying=True), FULL_BELOW_BYTES - 5 * MB)
    assert engine.evicted == [5 * MB]


def test_a_disk_that_cannot_be_asked_is_left_to_the_next_write() -> None:
    def refuses(folder: Path) -> int:
        raise OSError

    engine = Recorded(mailbox=True)
    DiskWatch(engine, Path("/"), refuses).look(NOW)
    assert (engine.evicted, engine.notices) == ([], [])
