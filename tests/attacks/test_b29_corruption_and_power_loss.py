"""B29: a process killed at any moment, and bits that flip on the disk.

Kills: a child commits own items and says which were acknowledged; it is killed with SIGKILL at random moments and
started again on the same file, 30 times (on 34 files, so 1,020 times, with --long). Every fifth dies while it opens
the file, the first one while it makes it. Nothing acknowledged may be missing, nothing may be there twice, and what
shared a transaction is there together or not at all.
Flips: one bit, anywhere in the file. It must be found at the start, or change nothing that is ever read.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    CommitteePut,
    Delivery,
    DutyPut,
    ExposurePut,
    Item,
    ItemsAdd,
    MemberPut,
    Membership,
    MixTagsAdd,
    OutboxMark,
    PeerPut,
    ReplayAdd,
    RoomPut,
    SecretPut,
    SettingPut,
    TrafficAdd,
)
from railgun_core.store.checks import find_damage, probe
from railgun_core.store.migrations import known_revisions
from railgun_core.store.schema import METADATA
from railgun_core.store.sqlite import SqliteStore

REPO = Path(__file__).resolve().parents[2]
KILLS = 30  # of one file: each start reads all of it
LONG_FILES = 34
FLIPS, LONG_FLIPS = 100, 2000
SEED = int(os.environ.get("RAILGUN_SEED", "29"))
HEADER_BYTES = 100
ROOM = RoomId(b"r" * 16)
ME = MemberId(b"me------")
ANN = MemberId(b"ann-----")

CHILD = """
import asyncio, os, pathlib
from railgun_core.changes import *
from railgun_core.store.sqlite import SqliteStore

ROOM, ME = b"r" * 16, b"me------"

def body(seq):
    return b"%d " % seq * 300

async def check(store):
    state = await store.load()
    last = state.rooms[0].next_seq - 1 if state.rooms else 0
    kept = await store.own_items(ROOM, 0, 1 << 40)
    shown = await store.messages(ROOM, after=0, limit=1 << 40)
    seqs = list(range(1, last + 1))
    assert [i.seq for i in kept] == seqs, "own items"
    assert [m.seq for m in shown] == seqs, "messages"
    assert all(i.body == body(i.seq) for i in kept), "bodies"
    assert (await store.settings()).get("last", "0") == str(last), "one transaction"
    return last

async def live(path, say):
    store = await SqliteStore.open(path)
    assert store.repaired is None, store.repaired
    last = await check(store)
    say("have", last)
    await store.commit([RoomPut(ROOM, "n", b"", b"", 1.0, Membership.ACTIVE)])
    while True:
        first, count = last + 1, 1 + last % 7
        async def one(seq):
            changes = [ItemsAdd(ROOM, ME, (Item(seq, 0, 1, body(seq), 1.0),), True), SettingPut("last", str(seq))]
            await store.commit(changes)
            say("acked", seq)
        await asyncio.gather(*(one(first + n) for n in range(count)))
        last += count
        await store.commit([OutboxMark(ROOM, 1, last - 5, Delivery.DELIVERED, 1)])
"""

WARDEN = """
import random, select, signal, sys, time
path, kills, rng = pathlib.Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
acked = 0
for round_ in range(kills):
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        asyncio.run(live(path, lambda word, n: os.write(theirs, b"%s %d\\n" % (word.encode(), n))))
        os._exit(1)
    os.close(theirs)
    until, text, started = None, b"", time.monotonic()
    delay_s = rng.random() * 0.08
    early = round_ % 5 == 0  # dies while it opens the file
    while until is None or time.monotonic() < until:
        if until is None and (early or b"acked" in text):
            until = time.monotonic() + delay_s
        if time.monotonic() > started + 20:
            sys.exit("the child neither worked nor died")
        if select.select([ours], [], [], 0.002)[0]:
            got = os.read(ours, 65536)
            if not got:
                sys.exit("the child ended by itself")
            text += got
    os.kill(child, signal.SIGKILL)
    while got := os.read(ours, 65536):
        text += got
    os.close(ours)
    os.waitpid(child, 0)
    for line in text.decode().splitlines():
        word, n = line.split()
        if word == "have" and int(n) < acked:
            sys.exit(f"round {round_}: {acked} were acknowledged, {n} are there")
        acked = max(acked, int(n))
print(acked)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
async def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(tmp_path: Path, long_run: bool) -> None:
    for number in range(LONG_FILES if long_run else 1):
        path = tmp_path / str(number) / "railgun.db"
        acked = await asyncio.to_thread(live_and_die, path, SEED + number)
        assert acked >= KILLS * 4 // 5
        store = await SqliteStore.open(path)
        kept = await store.own_items(ROOM, 1, 1 << 40)
        assert [item.seq for item in kept[:acked]] == list(range(1, acked + 1))
        assert not (await store.load()).restored_backup  # no kill is taken for an older database put back
        await store.close()


def live_and_die(path: Path, seed: int) -> int:
    """Kill a writing child again and again; the last sequence that was acknowledged."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD + WARDEN, str(path), str(KILLS), str(seed)],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=30 + 2 * KILLS,
        check=False,
    )
    assert done.returncode == 0, f"RAILGUN_SEED={seed}: {done.stderr}"
    return int(done.stdout)


async def fill(path: Path) -> None:
    """Something in every table, and items that need pages of their own."""
    store = await SqliteStore.open(path)
    tag = Tag(b"t" * 32)
    rng = random.Random(SEED)
    await store.commit([RoomPut(ROOM, "friends", b"root" * 8, b"seed" * 8, 1.0, Membership.ACTIVE)])
    await store.commit([MemberPut(ROOM, ANN, "Ann", 7, 3, Membership.ACTIVE, 5.5)])
    await store.commit([ItemsAdd(ROOM, ME, tuple(Item(n, 0, 1, rng.randbytes(4096), 1.0) for n in range(1, 9)), True)])
    await store.commit([ItemsAdd(ROOM, ANN, tuple(Item(n, 0, 1, rng.randbytes(90), 1.5) for n in range(1, 40)), False)])
    await store.commit([OutboxMark(ROOM, 1, 3, Delivery.STORED, 9)])
    await store.commit([CommitteePut(ROOM, tag, 9, 300, 2.0, 3, (rng.randbytes(300), rng.randbytes(300)))])
    await store.commit([DutyPut(tag, 9, 1, 5, "serving", 1.0, 2.0, 3, 4, 5), ReplayAdd(tag, 9, rng.randbytes(1600))])
    await store.commit([SecretPut(ROOM, "session", rng.randbytes(500)), SecretPut(RoomId(b""), "device", b"k" * 32)])
    await store.commit([MixTagsAdd(7, rng.randbytes(1600)), ExposurePut(20_000, "guard", "bytes", 5)])
    await store.commit([TrafficAdd(4, 1, 2, 3, 4), PeerPut(b"p" * 32, rng.randbytes(200), 3.0), SettingPut("a", "b")])
    await store.close()


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, by SQLite itself."""
    link = sqlite3.connect(path)
    try:
        return {t.name: link.execute(f"SELECT * FROM {t.name}").fetchall() for t in METADATA.sorted_tables}
    finally:
        link.close()


def is_detected(path: Path) -> bool:
    try:
        return not probe(path).agrees(known_revisions()) or find_damage(path) is not None
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return True


def flip(path: Path, offset: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([old ^ (1 << bit)]))


async def test_a_flipped_bit_anywhere_is_detected_or_changes_nothing(tmp_path: Path, long_run: bool) -> None:
    path = tmp_path / "railgun.db"
    await fill(path)
    written = everything(path)
    size = path.stat().st_size
    sound = path.read_bytes()
    rng = random.Random(SEED)
    places = [(n, rng.randrange(8)) for n in range(HEADER_BYTES)]
    places += [(rng.randrange(size), rng.randrange(8)) for _ in range(LONG_FLIPS if long_run else FLIPS)]
    assert not is_detected(path)
    for offset, bit in places:
        flip(path, offset, bit)
        assert is_detected(path) or everything(path) == written, f"bit {bit} of byte {offset}"
        path.write_bytes(sound)


async def test_a_flip_in_what_was_written_is_always_detected(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await fill(path)
    sound = path.read_bytes()
    values = [v for rows in everything(path).values() for row in rows for v in row if isinstance(v, bytes)]
    assert len(values) > 50
    for value in values:
        needle = value[-16:]  # the end of a long value lies on an overflow page
        if sound.count(needle) != 1:
            continue
        flip(path, sound.index(needle) + len(needle) // 2, 0)
        assert is_detected(path)
        path.write_bytes(sound)


@pytest.mark.parametrize("where", ["body", "header", "page", "cut"])
async def test_a_damaged_database_is_kept_aside_a_new_one_made_and_this_said(tmp_path: Path, where: str) -> None:
    path = tmp_path / "railgun.db"
    await fill(path)
    sound = path.read_bytes()
    if where == "body":
        flip(path, sound.index(random.Random(SEED).randbytes(4096)[-64:]), 3)
    elif where == "header":
        flip(path, 3, 0)
    elif where == "page":
        path.write_bytes(sound[:8192] + bytes(8192) + sound[16384:])
    else:
        path.write_bytes(sound[:-10_000])
    broken = path.read_bytes()
    store = await SqliteStore.open(path)
    assert store.repaired is not None
    assert store.repaired.endswith(".")
    assert "railgun.db.damaged-1" in store.repaired
    assert (tmp_path / "railgun.db.damaged-1").read_bytes() == broken
    state = await store.load()
    assert state.restored_backup == bool(state.rooms)  # so that no key of what was saved is used a second time
    if where == "body":
        assert [item.seq for item in await store.own_items(ROOM, 1, 99)] == [2, 3, 4, 5, 6, 7, 8]
        assert "one room was saved" in store.repaired
    elif where == "header":
        assert state.rooms == ()
        assert "no room could be saved" in store.repaired
    await store.commit([SettingPut("a", "1")])
    await store.close()
    again = await SqliteStore.open(path)
    assert again.repaired is None
    assert (await again.settings())["a"] == "1"
    await again.close()


@pytest.mark.parametrize("word", [b"settings", b"friends"])
async def test_a_text_that_is_no_text_any_more_is_damage_like_any_other(tmp_path: Path, word: bytes) -> None:
    path = tmp_path / "railgun.db"
    await fill(path)
    sound = path.read_bytes()
    path.write_bytes(sound.replace(word, word[:-1] + b"\xf3"))
    store = await SqliteStore.open(path)
    assert store.repaired is not None
    await store.close()


async def test_each_damaged_file_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    for number in (1, 2):
        path.write_bytes(b"no database at all, %d" % number)
        store = await SqliteStore.open(path)
        await store.close()
        assert (tmp_path / f"railgun.db.damaged-{number}").read_bytes() == b"no database at all, %d" % number


async def test_a_flip_while_running_is_said_and_the_value_never_given_out(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await fill(path)
    store = await SqliteStore.open(path)
    flip(path, path.read_bytes().index(random.Random(SEED).randbytes(4096)[-64:]), 3)
    with pytest.raises(EnvironmentFailure) as caught:
        await store.own_items(ROOM, 1, 1)
    assert caught.value.code == "database-damaged"
    assert len(await store.own_items(ROOM, 2, 8)) == 7
    await store.close()
