"""A log that lost durable transactions is told from one that a crash cut off."""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from pathlib import Path

import pytest

from railgun_core.store.wal import has_lost_transactions

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
PAGE_BYTES = 8192
FRAME_BYTES = 24 + PAGE_BYTES
COMMITS = 6


@pytest.fixture
def died(tmp_path: Path) -> Path:
    """A database whose program ended without closing it: the log holds COMMITS transactions."""
    path = tmp_path / "railgun.db"
    child = os.fork()
    if child == 0:
        link = sqlite3.connect(path, isolation_level=None)
        link.execute(f"PRAGMA page_size={PAGE_BYTES}")
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("CREATE TABLE t (a BLOB)")
        for number in range(COMMITS - 1):
            link.execute("INSERT INTO t VALUES (?)", (bytes((number,)) * 20_000,))
        os._exit(0)
    os.waitpid(child, 0)
    return path


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def frames(path: Path) -> list[bool]:
    """Of each frame, whether it ends a transaction."""
    raw = log_of(path).read_bytes()
    return [struct.unpack_from(">I", raw, at + 4)[0] > 0 for at in range(32, len(raw), FRAME_BYTES)]


def flip(path: Path, at: int) -> None:
    raw = bytearray(log_of(path).read_bytes())
    raw[at] ^= 0x10
    log_of(path).write_bytes(raw)


def test_a_sound_log_has_lost_nothing(died: Path) -> None:
    assert sum(frames(died)) == COMMITS
    assert not has_lost_transactions(died)


def test_without_a_log_or_with_an_empty_one_nothing_is_lost(died: Path) -> None:
    log_of(died).write_bytes(b"")
    assert not has_lost_transactions(died)
    log_of(died).unlink()
    assert not has_lost_transactions(died)


def test_a_flip_in_any_frame_but_those_of_the_last_transaction_is_seen(died: Path) -> None:
    sound = log_of(died).read_bytes()
    ends = [number for number, is_end in enumerate(frames(died)) if is_end]
    for number in range(len(frames(died))):
        flip(died, 32 + number * FRAME_BYTES + 24 + 5_000)
        assert has_lost_transactions(died) == (number <= ends[-2]), f"frame {number}"
        log_of(died).write_bytes(sound)


@pytest.mark.parametrize("at", range(32))
def test_a_flip_in_the_header_of_the_log_is_seen(died: Path, at: int) -> None:
    flip(died, at)
    assert has_lost_transactions(died)


@pytest.mark.parametrize("at", range(24))
def test_a_flip_in_the_header_of_a_frame_is_seen(died: Path, at: int) -> None:
    flip(died, 32 + 2 * FRAME_BYTES + at)
    assert has_lost_transactions(died)


def test_a_log_that_ends_anywhere_was_cut_off_and_lost_nothing(died: Path) -> None:
    sound = log_of(died).read_bytes()
    for length in range(0, len(sound), 1_000):
        log_of(died).write_bytes(sound[:length])
        assert not has_lost_transactions(died), f"{length} bytes"


def test_a_last_transaction_of_which_a_middle_page_is_missing_was_cut_off(died: Path) -> None:
    ends = [number for number, is_end in enumerate(frames(died)) if is_end]
    raw = bytearray(log_of(died).read_bytes())
    start = 32 + (ends[-2] + 1) * FRAME_BYTES
    raw[start : start + FRAME_BYTES] = bytes(FRAME_BYTES)
    log_of(died).write_bytes(raw)
    assert not has_lost_transactions(died)


def test_frames_from_before_the_log_was_begun_anew_do_not_count(died: Path) -> None:
    old = log_of(died).read_bytes()
    child = os.fork()
    if child == 0:
        link = sqlite3.connect(died, isolation_level=None)
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        link.execute("INSERT INTO t VALUES (?)", (b"new",))
        os._exit(0)
    os.waitpid(child, 0)
    new = log_of(died).read_bytes()
    assert len(new) == len(old)
    assert not has_lost_transactions(died)
    log_of(died).write_bytes(new[:32] + bytes(FRAME_BYTES) + new[32 + FRAME_BYTES :])
    assert not has_lost_transactions(died)  # the first transaction of the new log was cut off
