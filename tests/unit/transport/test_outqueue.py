"""The shared queue: flush policy, bounds of one write, credit and the single end, over a channel that writes down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from railgun_core.base.ids import PublicKey
from railgun_core.transport.link import CloseReason, Limits, Link
from railgun_core.transport.outqueue import JOIN_BYTES, WRITE_BYTES, Ends, QueuedLink
from railgun_core.wire.frames import FrameBatch

ENDS = Ends(PublicKey(b"k" * 32), b"b" * 32, False, "192.0.2.1")


class Slate(QueuedLink):
    """A link whose channel is a list. While `is_full` it takes nothing."""

    __slots__ = ("aborts", "is_full", "writes")
    name = "slate"

    def __init__(self, limits: Limits, on_end: Callable[[QueuedLink], None] = lambda link: None) -> None:
        super().__init__(ENDS, limits, on_end=on_end)
        self.writes: list[bytes] = []
        self.aborts: list[CloseReason] = []
        self.is_full = False

    def _write_out(self) -> None:
        if self.is_full:
            self._busy = True
            return
        while self._queue:
            self.writes.append(self._take())
            self._sent(len(self.writes[-1]))

    def _shut(self) -> None:
        if not self.is_full:
            self._write_out()
            self._end(CloseReason.LOCAL)

    def _abort(self, reason: CloseReason) -> None:
        self.aborts.append(reason)

    def empty(self) -> None:
        self.is_full = False
        self._ready()

    def hear(self, data: bytes) -> None:
        self._received(data)


class Told:
    """A handler that writes down."""

    def __init__(self) -> None:
        self.log: list[object] = []

    def frames(self, link: Link, batch: FrameBatch) -> None:
        self.log.append(len(batch))

    def credit(self, link: Link) -> None:
        self.log.append("credit")

    def closed(self, link: Link, reason: CloseReason) -> None:
        self.log.append(reason)


async def until(condition: Callable[[], bool], wait_s: float = 5.0) -> None:
    """A bounded wait for what no event tells."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def turn(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_idle_link_flushes_at_the_end_of_the_same_iteration() -> None:
    link = Slate(Limits(tick_s=60))
    link.start(Told())
    link.send([b"a", memoryview(b"bc")])
    link.send([b"d"])
    assert link.writes == []
    await turn()
    assert link.writes == [b"abcd"]
    assert link.bytes_sent == 4


async def test_a_busy_link_waits_for_its_tick_unless_enough_has_gathered() -> None:
    link = Slate(Limits(tick_s=60))
    link.start(Told())
    link.send([b"first"])
    await turn()
    link.send([b"second"])
    await turn(3)
    assert len(link.writes) == 1
    link.send([b"x" * JOIN_BYTES])
    await turn()
    assert link.writes[1].startswith(b"secondx")


async def test_one_write_takes_at_most_its_share_and_order_is_kept() -> None:
    link = Slate(Limits())
    link.start(Told())
    chunks = [bytes((n,)) * 60_000 for n in range(20)]
    link.send(chunks)
    await turn()
    assert max(map(len, link.writes)) < WRITE_BYTES + 60_000
    assert b"".join(link.writes) == b"".join(chunks)


async def test_credit_is_told_once_below_half_and_only_after_there_was_none() -> None:
    link, told = Slate(Limits(queue_bytes=100)), Told()
    link.start(told)
    link.send([b"x" * 99])
    await turn()
    assert told.log == []
    link.is_full = True
    link.send([b"x" * JOIN_BYTES])
    await turn()
    assert link.credit_bytes == 0
    link.empty()
    await turn(2)
    assert told.log == ["credit"]
    assert link.credit_bytes == 100


async def test_overflow_ends_the_link_once_and_frees_the_queue() -> None:
    ended: list[QueuedLink] = []
    link, told = Slate(Limits(queue_bytes=500, queue_max_bytes=1000), ended.append), Told()
    link.start(told)
    link.is_full = True
    link.send([b"x" * 600])
    await turn()
    link.send([b"x" * 600])
    link.send([b"x"])
    link.close()
    link.hear(b"\x00\x00\x00\x01\x0c")
    await turn(3)
    assert told.log == [CloseReason.OVERFLOW]
    assert ended == [link]
    assert link.aborts == [CloseReason.OVERFLOW]


async def test_nothing_is_told_after_close() -> None:
    link, told = Slate(Limits()), Told()
    link.start(told)
    link.hear(b"\x00\x00\x00\x01\x0c\x00")
    assert told.log == [1]
    link.send([b"tail"])
    link.close()
    link.hear(b"\x00\x00\x01\x0c")
    await turn(3)
    assert link.writes == [b"tail"]
    assert told.log == [1, CloseReason.LOCAL]


async def test_a_close_that_cannot_flush_is_cut_short() -> None:
    link, told = Slate(Limits()), Told()
    link.start(told)
    link.is_full = True
    link.send([b"x"])
    link.close()
    await until(lambda: bool(told.log))
    assert told.log == [CloseReason.LOCAL]
    assert link.aborts == [CloseReason.LOCAL]


async def test_hearing_anything_keeps_a_link_from_being_idle() -> None:
    link, told = Slate(Limits(idle_s=0.6)), Told()
    link.start(told)
    loop = asyncio.get_running_loop()
    end_s = loop.time() + 1.0
    while loop.time() < end_s:
        link.hear(b"\x00\x00\x00\x01\x0c")
        await asyncio.sleep(0.02)
    assert CloseReason.IDLE not in told.log
    await until(lambda: told.log[-1] is CloseReason.IDLE)
