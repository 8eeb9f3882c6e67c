"""Tunnels: a byte stream between a client and a relay, carried in cells by the client's guard.

    client --- cells over its link to the guard --- guard --- plain TCP --- relay

The guard moves bytes and nothing else: the TLS handshake and the proof of keys run between client and relay, inside. So
a guard learns which relay a client uses (it opens the connection), and neither reads nor changes a byte; the relay
sees a normal link from the guard's address (protocol.md 5.4, threats.md B36).

What must stay true on both sides: a cell of DATA costs the credit of a full one, whatever it holds, because that is
what it costs on the link. So one stream never has more than WINDOW_BYTES of cells on its way in one direction, however
small its writes are, and what finds no credit is joined into full cells while it waits.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from railgun_core.base.errors import MalformedFrame
from railgun_core.wire.codec import Reader, blob8, u32
from railgun_core.wire.frames import CELL_DATA_BYTES, Cell, CellKind

WINDOW_CELLS = 12
WINDOW_BYTES = WINDOW_CELLS * CELL_DATA_BYTES  # 63,612: the whole cells in 64 KiB
GRANT_CELLS = WINDOW_CELLS // 2  # credit is given back this many cells at a time: it costs a cell itself


class StreamEnd(enum.StrEnum):
    """Why a stream ended, or half of it: the code of a CLOSE cell."""

    ORDER = ""  # all was said, both ways
    EOF = "eof"  # no more from this side; it still listens
    RESET = "reset"  # dropped at once
    REFUSED = "refused"  # no relay that this guard knows, or no address it connects to
    BUSY = "busy"  # too many streams
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    WRONG_PEER = "wrong-peer"  # somebody else is where the relay's record says that it listens
    IDLE = "idle"
    MISUSE = "misuse"  # a cell that cannot be: beyond the window, out of place


@dataclass(frozen=True, slots=True)
class TunnelLimits:
    """Bounds of what one guard does for clients."""

    per_link: int = 32  # streams of one client
    total: int = 256  # streams of all clients; each costs a descriptor and at most WINDOW_BYTES + 32 KiB
    connect_s: float = 5.0
    idle_s: float = 120.0


class Window:
    """The credit of one stream, both ways, in cells. Raises MalformedFrame when the other side breaks it."""

    __slots__ = ("_expected", "_taken", "cells")

    def __init__(self) -> None:
        self.cells = WINDOW_CELLS  # what this side may still send
        self._expected = WINDOW_CELLS  # what the other side may still send
        self._taken = 0

    def heard(self) -> None:
        """A cell of DATA came."""
        if self._expected == 0:
            raise MalformedFrame("window")
        self._expected -= 1

    def taken(self, cells: int) -> bytes | None:
        """The content of `cells` cells went on: a CREDIT cell's data when it is time for one."""
        self._taken += cells
        if self._taken < GRANT_CELLS:
            return None
        grant, self._taken = self._taken, 0
        self._expected += grant
        return u32(grant * CELL_DATA_BYTES)

    def earned(self, data: bytes) -> None:
        """The data of a CREDIT cell came."""
        reader = Reader(data)
        cells, rest = divmod(reader.u32(), CELL_DATA_BYTES)
        reader.end()
        if rest or self.cells + cells > WINDOW_CELLS:
            raise MalformedFrame("credit")
        self.cells += cells


def close_cell(stream: int, end: StreamEnd) -> bytes:
    """The frame that ends a stream, or this side's half of it."""
    return Cell(CellKind.CLOSE, stream, blob8(end.encode("ascii"))).encode()


def read_end(data: bytes) -> StreamEnd:
    """The code of a CLOSE cell; an unknown one is a reset. MalformedFrame."""
    reader = Reader(data)
    code = reader.text8(32)
    reader.end()
    try:
        return StreamEnd(code)
    except ValueError:
        return StreamEnd.RESET


def data_cells(stream: int, waiting: bytearray, window: Window) -> list[bytes]:
    """Take from the front of `waiting` what the window lets through, as frames. Only the last may be part empty."""
    count = min(window.cells, -(-len(waiting) // CELL_DATA_BYTES))
    if not count:
        return []
    window.cells -= count
    with memoryview(waiting) as view:
        whole = bytes(view[: count * CELL_DATA_BYTES])
    del waiting[: len(whole)]
    return [
        Cell(CellKind.DATA, stream, whole[at : at + CELL_DATA_BYTES]).encode()
        for at in range(0, len(whole), CELL_DATA_BYTES)
    ]
