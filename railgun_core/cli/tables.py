"""Aligned plain text for people: columns, pairs, and times and sizes in words. No colour.

Everything that came from somebody else passes `plain`: a room's name or a peer's software string must not be able to
move the cursor or change the terminal's title.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

_GAP = "  "


def plain(text: object) -> str:
    """One line without control or formatting characters."""
    return "".join(char if unicodedata.category(char)[0] != "C" else "?" for char in str(text))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> str:
    """Columns as wide as their widest cell; `none` when there is no row."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return none
    lines = [list(head), *cells]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        _GAP.join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """A name and a value a line."""
    found = [(name, plain(value)) for name, value in rows]
    widest = max((len(name) for name, _ in found), default=0)
    return "\n".join(f"{name:<{widest}}{_GAP}{value}".rstrip() for name, value in found)


def counted(count: int, thing: str, things: str = "") -> str:
    """`1 member`, `2 members`; `things` where the plural is not just an s more."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def size_words(count: float) -> str:
    """Bytes in decimal units: `312 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def rate_words(bits_per_s: float) -> str:
    """Bits a second in decimal units: `1.2 Mbit/s`."""
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if bits_per_s < 1000:
            return f"{bits_per_s:.0f} {unit}" if unit == "bit/s" else f"{bits_per_s:.1f} {unit}"
        bits_per_s /= 1000
    return f"{bits_per_s:.1f} Gbit/s"


def span_words(seconds: float) -> str:
    """A length of time: `4 min 10 s`, `3 h 20 min`, `2 d 3 h`."""
    whole = max(0, round(seconds))
    for name, unit, smaller_name, smaller in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def share_words(share: float | None) -> str:
    """A share of one as per cent; `unknown` for None."""
    return "unknown" if share is None else f"{share * 100:.2f} %"


def or_unknown(value: float | None, unit: str) -> str:
    """A measured value with its unit, or that there is none yet."""
    return "not measured yet" if value is None else f"{value:.0f} {unit}"


def moment_words(unix_s: float) -> str:
    """A moment in local time, without the year."""
    try:
        return datetime.fromtimestamp(unix_s, UTC).astimezone().strftime("%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "unknown"


def _width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
