"""B31, the start: on a file system of two megabytes with no room left, at each size of what is left in turn.

A start either works or ends with one clear failure, never with half a file: afterwards, with room again, the same
peer starts, with its own key. What lies beside the database counts too: identity.key, store.key, store.mark,
contacts.json, config.toml. Real ENOSPC, where the system lets us mount a file system.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.test_b31_disk_full import can_mount

REPO = Path(__file__).resolve().parents[2]

STARTS = """
import asyncio, os, pathlib, shutil, subprocess, sys
from railgun_core.base.errors import EnvironmentFailure, RailGunError
from railgun_core.config import Config, HostPort, load_config, save_options
from railgun_core.discovery.contacts_file import load_contacts, save_contacts
from railgun_core.discovery.datagrams import ContactInfo
from railgun_core.engine.engine import Engine

disk = pathlib.Path(sys.argv[1])
folder = disk / "data"
CODES = {"disk-full", "unwritable"}

def free():
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize

def ballast(leave):
    (disk / "ballast").write_bytes(b"")
    (disk / "ballast").write_bytes(bytes(max(0, free() - leave)))

async def start():
    config = Config(data_dir=folder, listen=HostPort("127.0.0.1", 0), transports=("tls",), puzzle_bits=2, lan=False)
    engine = Engine(config)
    try:
        await engine.start()
    except EnvironmentFailure as failure:
        assert failure.code in CODES, failure.code
        return failure.code, b""
    await asyncio.sleep(0.05)
    key = engine.node.identity.seed
    await engine.stop()
    return "", key

async def once(leave, seen):
    ballast(leave)
    code, key = await start()
    had = (folder / "identity.key").read_bytes() if (folder / "identity.key").exists() else b""
    assert len(had) in (0, 32), "half a key"
    seen.add(code)
    again, again_key = await start()  # still full
    assert not (had and again_key) or again_key == had
    (disk / "ballast").unlink()
    code, key_then = await start()
    assert code == "", (leave, code)
    assert not had or key_then == had, "another peer than before"
    ballast(leave % 4096)
    code, key_full = await start()  # a peer that has run before
    assert code in ("", "disk-full"), (leave, code)
    (disk / "ballast").unlink()
    code, key_last = await start()
    assert (code, key_last) == ("", key_then), (leave, code)
    shutil.rmtree(folder)

def beside(leave):
    folder.mkdir(exist_ok=True)
    contacts = folder / "contacts.json"
    one = [ContactInfo(b"i" * 20, "127.0.0.1", 5)]
    many = [ContactInfo(bytes((n,)) * 20, "127.0.0.1", 5) for n in range(200)]
    assert save_contacts(contacts, one)
    save_options(folder, {"epoch_s": 60})
    ballast(leave)
    saved = save_contacts(contacts, many)
    assert len(load_contacts(contacts)) == (200 if saved else 1)
    try:
        save_options(folder, {"epoch_s": 120})
        wanted = 120
    except RailGunError as failure:
        assert failure.code in CODES, failure.code
        wanted = 60
    assert load_config(folder, {}).epoch_s == wanted
    (disk / "ballast").unlink()
    shutil.rmtree(folder)
    return saved

subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], check=True)
seen = set()
for leave in range(0, 600 * 1024, int(sys.argv[2])):
    asyncio.run(once(leave, seen))
assert seen == {"", "disk-full"} or seen == {"", "disk-full", "unwritable"}, seen
assert {beside(leave) for leave in range(0, 64 * 1024, 4096)} == {True, False}
print("done")
"""


def test_a_start_without_room_works_or_says_so_and_harms_nothing(tmp_path: Path, long_run: bool) -> None:
    if not can_mount(tmp_path):
        pytest.skip("this system does not let us mount a small file system")
    step_bytes = 4_096 if long_run else 52 * 1_024
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, "-c", STARTS, str(tmp_path), str(step_bytes)],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=1_200,
    )
    assert done.stdout.strip().endswith("done"), done.stderr
