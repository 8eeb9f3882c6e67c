"""The golden vectors of protocol version 1, as make_vectors.py wrote them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def vectors(name: str) -> Any:
    """The content of `<name>.json`."""
    return json.loads((Path(__file__).resolve().parent / f"{name}.json").read_text(encoding="utf-8"))


def some_bytes(name: str, length: int = 32) -> bytes:
    """The arbitrary bytes that the vectors are made of."""
    blocks = range((length + 31) // 32)
    return b"".join(hashlib.sha256(b"vector" + name.encode() + n.to_bytes(2, "big")).digest() for n in blocks)[:length]
