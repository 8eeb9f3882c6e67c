"""The tasks of an engine: held, told of when they fail, and all over when it is."""

from __future__ import annotations

import asyncio

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.engine.tasks import Tasks


def made() -> tuple[Tasks, list[tuple[str, str, str]]]:
    notices: list[tuple[str, str, str]] = []
    return Tasks(lambda code, level, detail: notices.append((code, level, detail))), notices


async def test_a_task_that_fails_is_told_of_and_ends_no_other() -> None:
    tasks, notices = made()
    ended = asyncio.Event()

    async def fails() -> None:
        raise KeyError("secret")

    async def goes_on() -> None:
        while not notices:  # noqa: ASYNC110
            await asyncio.sleep(0)
        ended.set()

    tasks.spawn(fails())
    tasks.spawn(goes_on())
    async with asyncio.timeout(5):
        await ended.wait()
    assert notices == [("internal", "error", "KeyError")]
    await tasks.close()


async def test_what_the_machine_refuses_is_told_and_tried_again() -> None:
    tasks, notices = made()
    twice = asyncio.Event()

    async def work() -> None:
        if len(notices) == 2:
            twice.set()
            return
        raise EnvironmentFailure("The disk is full.", code="disk-full")

    tasks.every(0.0, work)
    async with asyncio.timeout(5):
        await twice.wait()
    await tasks.close()
    assert notices == [("disk-full", "warning", "")] * 2


async def test_after_the_end_nothing_runs_and_nothing_begins() -> None:
    tasks, notices = made()
    begun: list[str] = []

    async def work(name: str) -> None:
        begun.append(name)
        await asyncio.Event().wait()

    tasks.spawn(work("before"))
    await asyncio.sleep(0)
    await tasks.close()
    tasks.spawn(work("after"))  # an effect of the node that came while sockets were being closed
    await asyncio.sleep(0)
    assert (begun, notices, len(tasks._tasks)) == (["before"], [], 0)
