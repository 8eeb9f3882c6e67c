"""How much room the disk has left, and what this engine gives up for it.

Below 256 MB a mailbox takes nothing new. Below 64 MB, where the store refuses own messages, it gives back what it
keeps for others, the oldest first, so that this person's own receipts and deletions still find room: of those 64 MB a
reserve of 16 MB is never asked for. What is given back stays in the database's file as pages for what comes next, so
the disk shows nothing of it, and it is given back once. Reading and deleting go on in any case. Source: threats.md B31.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from railgun_core.base.clock import Instant
from railgun_core.events import Effect
from railgun_core.node import Node
from railgun_core.store.sqlite import disk_free_bytes
from railgun_core.store.writer import FULL_BELOW_BYTES

STOP_BELOW_BYTES = 256 * 1024 * 1024


class ThriftyEngine(Protocol):
    """What of the engine is needed here."""

    node: Node

    def carry_out(self, effects: list[Effect]) -> None:
        """Effects of a command that went to the node directly."""

    def notice(self, code: str, level: str = "info", detail: str = "") -> None:
        """Something for a person to know."""


class DiskWatch:
    """Watches the disk under a data directory. `free_bytes` raises OSError where the disk cannot be asked."""

    def __init__(
        self, engine: ThriftyEngine, folder: Path, free_bytes: Callable[[Path], int] = disk_free_bytes
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._free_bytes = free_bytes
        self._was_low = False
        self._given_bytes = 0  # since the disk was last not low

    def look(self, now: Instant) -> None:
        """Every ten seconds."""
        try:
            free_bytes = self._free_bytes(self._folder)
        except OSError:
            return  # the next write says what is wrong
        is_low = free_bytes < STOP_BELOW_BYTES
        mailbox = self._engine.node.mailbox
        if is_low and (mailbox.serves or mailbox.is_emptying):
            out: list[Effect] = []
            lacking_bytes = max(0, FULL_BELOW_BYTES - free_bytes - self._given_bytes)
            self._given_bytes += lacking_bytes
            mailbox.evict(lacking_bytes, now, out)
            self._engine.carry_out(out)
        if not is_low:
            self._given_bytes = 0
        if is_low != self._was_low:
            self._was_low = is_low
            free = f"{free_bytes // 10**6:,} MB are free"
            if is_low:
                self._engine.notice("disk-low", "warning", free)
            else:
                self._engine.notice("disk-has-room", "info", free)
