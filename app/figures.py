"""Numbers as people read them. Pure: no Qt, no clock.

Rates are bits a second, totals are bytes, both in steps of 1,000, so that one figure can be compared with the next.
Never more digits than were measured: two figures under ten, none above a hundred. Unknown is always the same dash.
"""

from __future__ import annotations

import math

from app.messages import grouped, tr

UNKNOWN = "—"
_RATES = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")
_TOTALS = ("B", "kB", "MB", "GB", "TB")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _scale(value: float, units: tuple[str, ...]) -> int:
    step = 0
    while value >= 999.5 and step < len(units) - 1:
        value /= 1000
        step += 1
    return step


def rate(bits_per_s: float) -> str:
    """A rate, for example `1.2 Mbit/s`. Below 1 kbit/s it is whole bits."""
    step = _scale(bits_per_s, _RATES)
    value = bits_per_s / 1000**step
    return f"{round(value) if step == 0 else _short(round(value, 1))} {_RATES[step]}"


def rate_pair(up_bps: float, down_bps: float) -> str:
    """Both directions in one unit, for the tray: `↑1.2 ↓1.1 Mbit/s`."""
    step = _scale(max(up_bps, down_bps), _RATES)
    up, down = (round(value / 1000**step, 1 if step else 0) for value in (up_bps, down_bps))
    return f"↑{_short(up)} ↓{_short(down)} {_RATES[step]}"


def total(size_bytes: float) -> str:
    """A total, for example `312 MB`, `3.1 GB`."""
    step = _scale(size_bytes, _TOTALS)
    return f"{_short(round(size_bytes / 1000**step, 1))} {_TOTALS[step]}"


def per_second(value: float) -> str:
    """Messages a second: `6 msg/s`, `0.4 msg/s`, `0 msg/s`."""
    rounded = round(value, 1)
    return tr("{rate} msg/s", rate=_short(rounded))


def duration(seconds: float) -> str:
    """A wait or an age: `8 s`, `4 min 10 s`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, math.floor(seconds))
    if whole < 60:
        return tr("{s} s", s=whole)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return tr("{m} min {s} s", m=minutes, s=rest) if rest else tr("{m} min", m=minutes)
    if whole < 86_400:
        hours, rest = divmod(whole // 60, 60)
        return tr("{h} h {m} min", h=hours, m=rest) if rest else tr("{h} h", h=hours)
    days, rest = divmod(whole // 3600, 24)
    return tr("{d} d {h} h", d=days, h=rest) if rest else tr("{d} d", d=days)


def countdown(seconds: float) -> str:
    """A wait in the tray: `04:10`."""
    minutes, rest = divmod(max(0, math.ceil(seconds)), 60)
    return f"{minutes:02d}:{rest:02d}"


def milliseconds(value: float | None) -> str:
    """A measured time: `0.4 ms`, `84 ms`, `1.3 s`."""
    if value is None:
        return UNKNOWN
    return f"{_short(round(value / 1000, 1))} s" if value >= 1000 else f"{_short(round(value, 1))} ms"


def share(part: float | None) -> str:
    """A share of the whole as people say it: `1/212`, or percent when it is more than a fifth."""
    if part is None:
        return UNKNOWN
    if part <= 0:
        return "0"
    return f"{part * 100:.0f} %" if part > 0.2 else f"1/{grouped(round(1 / part))}"


def short_tag(tag: str) -> str:
    """The first eight digits of a committee's tag in two groups: `7f3a 91c2`."""
    digits = tag.replace(" ", "")
    return f"{digits[:4]} {digits[4:8]}".strip()
