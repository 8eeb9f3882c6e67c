"""`railgun room send`: one message a line, in order, with at most two requests under way.

What can be read twice (a file, TEXT, a redirected file) is checked for lines that are too long before anything is
sent. A pipe is sent as it comes. The verb ends when every message has reached `--wait`, or says which have not; those
are in the outbox and go on by themselves.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import click

from railgun_core.base.errors import EnvironmentFailure, RailGunError, UsageError, sentence_of
from railgun_core.cli.frame import Place, common, run_async
from railgun_core.cli.lines import READ_BYTES, Read, TooLong, batches_of, check_lengths, messages_of
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import counted
from railgun_core.local_api.client import ApiError, Client
from railgun_core.local_api.messages import RoomSend, Sent

IN_FLIGHT = 2


@dataclass(slots=True)
class Tally:
    """What has been handed over and what came of it."""

    lines: int = 0
    reached: int = 0
    first_seq: int = 0
    last_seq: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)

    def add(self, sent: Sent) -> None:
        """Count one answer. Answers may come in any order."""
        self.lines += sent.lines
        self.reached += sent.reached
        self.first_seq = min(self.first_seq or sent.first_seq, sent.first_seq)
        self.last_seq = max(self.last_seq, sent.last_seq)
        if sent.waiting:
            self.missing.extend(sent.missing or [(sent.first_seq, sent.last_seq)])


@click.command()
@click.argument("room_name", metavar="ROOM")
@click.argument("text", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Send the lines of this file.")
@click.option(
    "--wait",
    type=click.Choice(["accepted", "stored", "delivered"]),
    default="stored",
    show_default=True,
    help="What every message must have reached.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(0.1, 86_400),
    default=60.0,
    show_default=True,
    help="How long each part of the messages may take to get there.",
)
@common
def send(place: Place, room_name: str, text: str | None, file: Path | None, wait: str, timeout_s: float) -> int:
    """Send messages to ROOM, one a line: TEXT, the lines of --file, or standard input (`-`, or neither).

    Bytes are sent as they are. Exit 1 when some have not reached --wait in time; they stay in the outbox.
    """
    if text not in (None, "-") and file is not None:
        raise UsageError("Give TEXT or --file, not both.")
    source = _open_source(text, file)
    try:
        if source.seekable():
            _check_first(source)
        tally = run_async(_send_all(place, room_name, source, wait=wait, timeout_s=timeout_s))
    finally:
        if file is not None:
            source.close()
    return _report(place, room_name, tally, wait)


def _open_source(text: str | None, file: Path | None) -> IO[bytes]:
    if file is not None:
        try:
            return file.open("rb", buffering=0)
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    if text is None or text == "-":
        return sys.stdin.buffer
    import io

    data = os.fsencode(text)  # gives back the bytes that were typed, also those that are no UTF-8
    return io.BytesIO(data if data.endswith(b"\n") else data + b"\n")


def _check_first(source: IO[bytes]) -> None:
    if not _is_finite(source):
        return
    start = source.tell()
    try:
        check_lengths(lambda: source.read(READ_BYTES))
    except TooLong as error:
        raise error.usage_error(0) from None
    except OSError as error:
        raise UsageError(f"The messages cannot be read: {error.strerror}.") from None
    source.seek(start)


def _is_finite(source: IO[bytes]) -> bool:
    """A regular file or a buffer: reading it ahead ends, and reading it again gives the same."""
    try:
        return stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    except (OSError, ValueError):
        return True


async def _send_all(place: Place, room: str, source: IO[bytes], *, wait: str, timeout_s: float) -> Tally:
    tally = Tally()
    show = sys.stderr.isatty()
    under_way: set[asyncio.Task[Sent]] = set()
    handed_over = 0

    async def settle(*, keep: int) -> None:
        nonlocal under_way
        while len(under_way) > keep:
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            failures = [failure for task in done if (failure := task.exception()) is not None]
            for task in done:
                if task.exception() is None:
                    tally.add(task.result())
            if failures:
                raise failures[0]
            if show:
                click.echo(f"\r{handed_over:,} lines sent, {tally.reached:,} {wait} ", nl=False, err=True)

    async with await Client.connect(place.data_dir) as client:
        try:
            async for batch in _batches(source):
                await settle(keep=IN_FLIGHT - 1)
                request = RoomSend(room, batch, wait, timeout_s)
                under_way.add(asyncio.create_task(client.call("room.send", request, Sent)))
                handed_over += len(batch)
                await asyncio.sleep(0)  # the request is written before the next one: the order of lines is kept
            await settle(keep=0)
        except TooLong as error:
            await settle(keep=0)
            raise error.usage_error(handed_over) from None
        except RailGunError as error:
            raise _cut_off(error, handed_over, tally.reached, wait) from None
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            if show and handed_over:
                click.echo("", err=True)
    return tally


def _cut_off(error: RailGunError, handed_over: int, reached: int, wait: str) -> RailGunError:
    """Not all could be handed over: who has to send the rest again needs to know where it stands."""
    if error.code == "engine-gone" and handed_over:
        open_lines = handed_over - reached
        rest = f"; whether the other {open_lines:,} are in its outbox is not known" if open_lines else ""
        done = f"{reached:,} of {counted(handed_over, 'line')} handed over so far are {wait}{rest}"
        return EnvironmentFailure(f"The engine stopped: {done}.", code=error.code)
    if not reached:
        return error
    told = ApiError(f"{sentence_of(error)} Before that, {counted(reached, 'line')} reached {wait}.", code=error.code)
    told.exit_status = error.exit_status
    return told


async def _batches(source: IO[bytes]) -> AsyncIterator[tuple[bytes, ...]]:
    """Batches as they become readable. Reading is in a daemon thread: Ctrl-C must not wait for a silent pipe."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[list[bytes] | BaseException | None] = asyncio.Queue(maxsize=2)
    ended = threading.Event()

    def hand_over(item: list[bytes] | BaseException | None) -> None:
        if not ended.is_set():
            asyncio.run_coroutine_threadsafe(ready.put(item), loop).result()

    def pump() -> None:
        try:
            for lines in messages_of(_reader(source)):
                hand_over(lines)
            hand_over(None)
        except (TooLong, OSError, ValueError) as error:
            hand_over(error)

    def pump_quietly() -> None:
        try:
            pump()
        except BaseException:  # the loop has gone: nobody is left to tell
            return

    threading.Thread(target=pump_quietly, name="read-lines", daemon=True).start()
    try:
        while (item := await ready.get()) is not None:
            if isinstance(item, TooLong):
                raise item
            if isinstance(item, BaseException):
                raise UsageError(f"The messages cannot be read: {getattr(item, 'strerror', None) or item}.")
            for batch in batches_of(item):
                yield batch
    finally:
        ended.set()
        while not ready.empty():
            ready.get_nowait()


def _reader(source: IO[bytes]) -> Read:
    try:
        handle = source.fileno()
    except (OSError, ValueError):
        return lambda: source.read(READ_BYTES)
    if source is sys.stdin.buffer and source.seekable():
        source.seek(source.tell())  # the buffer may have read ahead of the descriptor
    return lambda: os.read(handle, READ_BYTES)  # whatever is there, without waiting for more


def _report(place: Place, room: str, tally: Tally, wait: str) -> int:
    waiting = tally.lines - tally.reached
    missing = sorted(tally.missing)
    if place.json:
        print_json(
            {
                "room": room,
                "wait": wait,
                "lines": tally.lines,
                "reached": tally.reached,
                "waiting": waiting,
                "first_seq": tally.first_seq,
                "last_seq": tally.last_seq,
                "missing": missing,
            }
        )
    if waiting:
        which = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in missing[:20])
        more = f" and {len(missing) - 20} more runs" if len(missing) > 20 else ""
        verb = "is" if waiting == 1 else "are"
        sentence = f"{waiting:,} of {counted(tally.lines, 'message')} {verb} not {wait} yet: sequences {which}{more}."
        one, many = "It stays in the outbox and goes on by itself.", "They stay in the outbox and go on by themselves."
        click.echo(f"railgun: {sentence} {one if waiting == 1 else many}", err=True)
        return RailGunError.exit_status
    if not place.json and sys.stdout.isatty():
        click.echo(f"{counted(tally.reached, 'message')} {wait}.")
    return 0
