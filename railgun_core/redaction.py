"""What must not be in a log, a diagnosis or a screenshot, taken out: the one redactor.

Two nets. By name: a field called key, token, room, address, body and the like loses its value whatever it is. By shape:
in every other text, full ids (64 hex digits) are cut to the 10 that people see, longer or shorter secrets in hex or
base64, invite links and IP addresses are replaced. Times, versions, counts, codes and short ids stay readable.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

GONE = "[redacted]"
ADDRESS = "[address]"
LINK = "[link]"
SHOWN_HEX = 10
MAX_DEPTH = 6
MAX_ITEMS = 50
MAX_TEXT = 500

_SECRETS = "key keys token tokens secret secrets seed root password passphrase private signature nonce proof answer"
_CONTENT = "payload body content text plaintext envelope frame message messages lines args"
_ROOMS = "room rooms room_id room_name name title link invite url"
_PLACES = "address addresses addr host hosts hostname ip endpoint remote bootstrap"
_SECRET_NAMES = frozenset(f"{_SECRETS} {_CONTENT} {_ROOMS} {_PLACES}".split())
_SECRET_ENDINGS = ("_key", "_token", "_secret", "_seed", "_password", "_address", "_addr", "_host", "_ip", "_link")
_URI = re.compile(r"\brailgun:[^\s\"']+", re.IGNORECASE)
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])")
_BASE64 = re.compile(r"(?<![0-9A-Za-z+/_=-])(?=[A-Za-z+/_-]*[0-9])(?=[0-9a-z+/_-]*[A-Z])[0-9A-Za-z+/_-]{40,}={0,2}")
_IPV4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.]*[0-9])(?::[0-9]{1,5})?")
_IPV6 = re.compile(r"\[?(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]+(?:%[0-9A-Za-z]+)?(?:\]:[0-9]{1,5}|\])?")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """A structlog processor: the whole event, redacted. `event` (its code) is kept and scrubbed."""
    return {str(name): _clean(str(name), value, 0) for name, value in event.items()}


def scrub(text: str) -> str:
    """A text without ids, secrets, links and addresses."""
    text = _URI.sub(LINK, text)
    text = _HEX.sub(lambda found: found[0][:SHOWN_HEX] if len(found[0]) == 64 else GONE, text)
    text = _BASE64.sub(GONE, text)
    text = _IPV6.sub(_ipv6, text)
    return _IPV4.sub(ADDRESS, text)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is never shown."""
    lower = name.lower()
    return lower in _SECRET_NAMES or lower.endswith(_SECRET_ENDINGS)


def _clean(name: str, value: Any, depth: int) -> Any:
    if is_secret_name(name) and not isinstance(value, bool | int | float) and value is not None:
        return GONE  # a number under such a name is a count: rooms=3
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, str):
        return scrub(value[:MAX_TEXT])
    if depth >= MAX_DEPTH:
        return GONE
    if isinstance(value, Mapping):
        return {scrub(str(key)): _clean(str(key), item, depth + 1) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return type(value).__name__  # a repr may hold anything


def _ipv6(found: re.Match[str]) -> str:
    """The pattern is generous (times match it too); this decides. Punctuation after an address stays."""
    bare = found[0].partition("]")[0].lstrip("[").partition("%")[0]
    for candidate in (bare, bare.rstrip("."), bare.rstrip(".:")):
        try:
            ipaddress.IPv6Address(candidate)
        except ValueError:
            continue
        return ADDRESS + bare[len(candidate) :]
    return found[0]
