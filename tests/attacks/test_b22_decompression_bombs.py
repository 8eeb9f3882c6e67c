"""B22: a small message that unpacks into a huge one. Nothing on the wire is ever unpacked, so there is none."""

from __future__ import annotations

import ast
import random
import zlib
from pathlib import Path

import pytest

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import TagHandle
from railgun_core.wire.envelope import SIZES, SizeClass, open_envelope, seal
from railgun_core.wire.frames import FrameSplitter, Ping, decode_control
from railgun_core.wire.kinds import LENGTH, MAX_FRAME_BYTES, FrameType

CORE = Path(__file__).resolve().parents[2] / "railgun_core"
PACKERS = {"brotli", "bz2", "gzip", "lz4", "lzma", "snappy", "tarfile", "zipfile", "zlib", "zstandard"}


def imported_roots(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    plain |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain}


def test_the_core_has_no_decompressor() -> None:
    files = sorted(CORE.rglob("*.py"))
    assert files
    assert {path.name: imported_roots(path) & PACKERS for path in files if imported_roots(path) & PACKERS} == {}


@pytest.mark.parametrize("kind", sorted(set(range(256)) - set(FrameType)))
def test_a_type_byte_with_any_flag_added_is_refused(kind: int) -> None:
    known = Ping(7).encode()
    flagged = known[:4] + bytes((kind,)) + known[5:]
    with pytest.raises(MalformedFrame):
        decode_control(flagged, 0, len(flagged))


def test_a_compressed_frame_is_refused_and_not_unpacked() -> None:
    bomb = bytes((FrameType.PING,)) + zlib.compress(bytes(50_000_000), 9)
    data = LENGTH.pack(len(bomb)) + bomb
    assert len(data) < MAX_FRAME_BYTES
    batch = FrameSplitter().feed(data)
    assert batch is not None
    with pytest.raises(MalformedFrame):
        decode_control(batch.data, 0, len(data))


def test_a_length_beyond_the_bound_is_refused_before_the_bytes_come() -> None:
    splitter = FrameSplitter()
    with pytest.raises(MalformedFrame):
        splitter.feed(LENGTH.pack(0xFFFF_FFFF) + TagHandle(bytes(8)))
    assert splitter.waiting_bytes == 0


def test_an_envelope_opens_to_fewer_bytes_than_it_has(rng: random.Random) -> None:
    key = rng.randbytes(32)
    packed = zlib.compress(bytes(200_000), 9)
    opened = open_envelope(seal(packed, key, size=SizeClass.SMALL, nonce=rng.randbytes(12)), key)
    assert opened == packed
    assert all(SizeClass(size).capacity < size for size in SIZES)


def test_a_compressed_envelope_is_no_envelope(rng: random.Random) -> None:
    envelope = seal(b"hello", rng.randbytes(32), size=SizeClass.SMALL, nonce=rng.randbytes(12))
    with pytest.raises(MalformedFrame):
        open_envelope(zlib.compress(envelope), rng.randbytes(32))
