"""How much a node holds in memory: every container it owns, by the class and the field that holds it.

Walks the objects of a node instead of asking it, so that what is added later is counted too. A container that is not
named in CAPS has DEFAULT_CAP; in a chaos run a few hundred messages are sent, so whatever grows past that leaks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from railgun_core.sim.peer import SimPeer

DEFAULT_CAP: Final = 2_000
CAPS: Final[Mapping[str, int]] = {
    "Timers._heap": 6_000,  # entries that were replaced stay until they come up
    "RelayView._cache": 1_024,
    "Relay.duties": 500,
    "Lane.sessions": 16,  # seats, standbys, and those of the committee before
    "Room.lanes": 3,
    "Lineage.formers": 16,
    "Inbox.ahead": 4_096,
}
MOST_FOLLOWED: Final = 40  # of one container's elements
_LEAVES: Final = (str, bytes, bytearray, memoryview, int, float, bool, type(None))


def caps_exceeded(peer: SimPeer) -> list[str]:
    """The containers of a node that are over their caps, and links it keeps that are gone."""
    assert peer.node is not None
    found = []
    for name, size in container_sizes(peer.node):
        cap = CAPS.get(name, DEFAULT_CAP)
        if size > cap:
            found.append(f"{name} holds {size}, its cap is {cap}")
    relay = peer.node.relay
    held, limit = sum(duty.spool.held_bytes for duty in relay.duties.values()), relay.limits.spool_bytes
    if held > limit:
        found.append(f"the spools hold {held} bytes, their cap is {limit}")
    return found


def container_sizes(root: object) -> Iterator[tuple[str, int]]:
    """Class.field and length of every container that is reached from `root`. Cost: about 2 ms for a node."""
    seen: set[int] = set()
    waiting: deque[tuple[str, object]] = deque([("", root)])
    while waiting:
        name, value = waiting.popleft()
        if isinstance(value, _LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict | list | set | frozenset | deque | tuple):
            if not isinstance(value, tuple | frozenset):
                yield name, len(value)
            waiting.extend((name, element) for element in _elements(value))
        elif type(value).__module__.startswith("railgun_core."):
            owner = type(value).__name__
            waiting.extend((f"{owner}.{field}", part) for field, part in _fields(value))


def _elements(value: object) -> Iterator[object]:
    parts = value.values() if isinstance(value, dict) else value
    assert hasattr(parts, "__iter__")
    for number, part in enumerate(parts):
        if number >= MOST_FOLLOWED:
            return
        yield part


def _fields(value: object) -> Iterator[tuple[str, object]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                found = getattr(value, name, None)
                if found is not None:
                    yield name, found
