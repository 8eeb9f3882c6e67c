"""What goes wrong for people: taken ports, odd data dirs, damaged databases, wrong links. Each ends with one sentence
and its exit status, and nothing is lost.

Permission bits do not stop root, so where the tests run as root, places that cannot be written are made of files in the
way and of read-only mounts; where mounting is not allowed, those tests are skipped.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from railgun_core.local_api.messages import RoomCreate, RoomInfo
from railgun_core.rooms.invite import Invite, encode_invite

from .conftest import Ran, RealNode, free_port, fresh_host, joined, numbered, railgun, until

QUIET = ("--puzzle-bits", "0", "--lan", "off")
NO_ENGINE = "No engine is running on this data directory; start one with: railgun node."


def lone_node(data_dir: Path, *more: str) -> RealNode:
    """A node that enters no network; it relays for itself."""
    return RealNode(data_dir, ("--listen", f"{fresh_host()}:0", *QUIET, *more))


def refused_start(data_dir: Path, *more: str) -> Ran:
    return railgun("--data-dir", data_dir, "node", "--listen", f"{fresh_host()}:0", *QUIET, *more)


@contextlib.contextmanager
def running(node: RealNode) -> Iterator[RealNode]:
    try:
        yield node.start().wait_ready()
    finally:
        node.stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with running(lone_node(tmp_path_factory.mktemp("alone") / "data")) as node:
        yield node


# ---------------------------------------------------------------- starting


@pytest.mark.parametrize(("kind", "name"), [(socket.SOCK_STREAM, "TCP"), (socket.SOCK_DGRAM, "UDP")])
def test_a_taken_port_is_named_with_its_protocol(tmp_path: Path, kind: socket.SocketKind, name: str) -> None:
    host = fresh_host()
    port = free_port(host)
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((host, port))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        ran = railgun("--data-dir", tmp_path / "data", "node", "--listen", f"{host}:{port}", *QUIET)
    expected = f"{name} port {port} is taken by another program: choose another port with --listen."
    assert (ran.status, ran.sentence) == (3, expected)


def test_a_second_engine_on_the_same_data_dir_is_refused_and_the_first_goes_on(node: RealNode) -> None:
    ran = refused_start(node.data_dir)
    assert (ran.status, ran.sentence) == (3, "Another Rail Gun Relay is running on this data directory.")
    assert node.cli("status").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("--listen", "203.0.113.9:7000"), 3, "This machine has no such address to listen at: choose another one"),
        (("--listen", "example.invalid:7000"), 2, "--listen needs a numeric address such as 127.0.0.1, not"),
        (("--listen", "7000"), 2, "--listen: '7000' is no HOST:PORT."),
        (("--bootstrap", "nowhere"), 2, "--bootstrap: 'nowhere' is no HOST:PORT."),
        (("--bootstrap", "a:99999"), 2, "--bootstrap: 'a:99999' is no HOST:PORT."),
        (("--epoch-s", "1"), 2, "--epoch-s must be 2 to 86,400 s, not 1."),
        (("--roles", "turn"), 2, "--roles turn is not in this version; it knows relay, mix, mailbox, bootstrap."),
        (("--mode", "hybrid"), 2, "Mode hybrid needs"),
        (("stray",), 2, "Got unexpected extra argument (stray)."),
    ],
)
def test_a_wrong_option_of_a_node_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    ran = railgun("--data-dir", tmp_path / "data", "node", *QUIET, *arguments)
    assert ran.status == status
    assert ran.sentence.startswith(sentence)


def test_a_data_dir_that_is_a_file_or_inside_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    inside = refused_start(file / "data")
    assert (inside.status, inside.sentence) == (3, "The data directory cannot be made: Not a directory.")
    assert refused_start(file).status == 2
    assert (railgun("--data-dir", file / "data", "status").status, file.read_bytes()) == (3, b"mine")


def test_files_in_the_way_inside_the_data_dir_are_said_and_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "railgun.db").mkdir()
    (data / "railgun.db" / "mine").write_bytes(b"mine")
    ran = refused_start(data)
    assert (ran.status, ran.sentence) == (3, "The message database cannot be read or written.")
    assert (data / "railgun.db" / "mine").read_bytes() == b"mine"


def test_an_identity_key_that_is_no_key_is_said_and_kept(tmp_path: Path) -> None:
    key = tmp_path / "identity.key"
    key.write_bytes(b"short")
    key.chmod(0o600)
    ran = refused_start(tmp_path)
    expected = "The identity key file identity.key does not hold a key; put your copy of it back."
    assert (ran.status, ran.sentence, key.read_bytes()) == (3, expected, b"short")


def test_options_that_are_no_toml_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("listen = \n")
    ran = refused_start(tmp_path)
    assert ran.status == 2
    assert ran.sentence.startswith("config.toml is not valid TOML: ")


def test_a_data_dir_too_deep_for_a_socket_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("ü" * 50) / "data"
    with running(lone_node(deep)) as node:
        assert len(str(deep)) > 107
        node.good("room", "create", "deep")
        assert b"deep" in node.good("room", "list")


# ---------------------------------------------------------------- the database


def test_a_database_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    node = lone_node(tmp_path / "data")
    with running(node):
        node.good("room", "create", "kept")
    database = node.data_dir / "railgun.db"
    link = sqlite3.connect(database)
    link.execute("PRAGMA user_version = 9999")
    link.execute("UPDATE alembic_version SET version_num = '9999'")
    link.commit()
    link.close()
    before = database.read_bytes()
    ran = refused_start(node.data_dir)
    assert ran.status == 3
    assert ran.sentence == (
        "The message database was made by a newer version of this program: install that version again."
    )
    assert database.read_bytes() == before


def test_flipped_bytes_are_set_aside_and_said_and_the_peer_stays_itself(tmp_path: Path) -> None:
    node = lone_node(tmp_path / "data")
    with running(node):
        node.good("room", "create", "old")
        peer_id = node.status().peer_id
    database = node.data_dir / "railgun.db"
    damaged = bytearray(database.read_bytes())
    for at in range(5_000, len(damaged), 4_096):
        damaged[at] ^= 0xFF
    database.write_bytes(damaged)
    with running(node):
        assert "The message database was damaged" in node.said.read_text()
        assert "railgun.db.damaged-1" in node.said.read_text()
        assert (node.data_dir / "railgun.db.damaged-1").read_bytes() == bytes(damaged)
        assert "database-repaired" in [notice.code for notice in node.status().notices]
        assert b"it is kept as railgun.db.damaged-1" in node.cli("doctor").out
        assert node.status().peer_id == peer_id
        node.good("room", "create", "new")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 68 MB that is this test's own: 4 MB above the reserve below which nothing new is taken."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=68m,mode=700", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not done or done.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def test_a_full_disk_refuses_new_lines_keeps_the_stored_ones_and_recovers(small_disk: Path, tmp_path: Path) -> None:
    node = lone_node(small_disk / "data")
    with running(node):
        node.good("room", "create", "full")
        stored: list[bytes] = []
        file = tmp_path / "lines"
        full = "The disk is full: nothing new can be saved until there is room."
        for batch in range(40):
            lines = [line + b"x" * 10_000 for line in numbered(f"batch-{batch}", 1, 20)]  # as many as go at once
            file.write_bytes(joined(lines))
            ran = node.cli("room", "send", "full", "--file", file)
            if ran.status:
                break
            stored += lines
        assert ran.status == 3
        assert ran.sentence.startswith(full)
        assert stored
        assert "lost if the engine ends before" in ran.sentence
        assert node.read("full") == joined(stored)
        ran = node.cli("room", "send", "full", "refused")
        assert (ran.status, ran.sentence) == (3, full)
        assert "messages cannot be saved" in node.said.read_text()
        assert node.cli("doctor").status == 1
        subprocess.run(["mount", "-o", "remount,size=120m", str(small_disk)], check=True)
        until(lambda: node.cli("room", "send", "full", "after").status == 0, within_s=30, what="room on the disk")
        assert node.read("full") == joined([*stored, *lines, b"after"])


def test_a_read_only_place_is_said(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ran = refused_start(small_disk / "data")
    assert (ran.status, ran.sentence) == (3, "The data directory cannot be made: Read-only file system.")
    assert railgun("--data-dir", small_disk / "data", "doctor").status == 3


# ---------------------------------------------------------------- verbs


@pytest.mark.parametrize(
    "verb",
    [
        ("status",),
        ("room", "list"),
        ("room", "send", "r", "text"),
        ("room", "send", "r", "-"),
        ("room", "read", "r", "--follow"),
        ("room", "join", "railgun://join/x"),
        ("inspect", "committee", "--room", "r"),
        ("logs",),
    ],
)
def test_without_an_engine_every_verb_ends_with_3(tmp_path: Path, verb: tuple[str, ...]) -> None:
    ran = railgun("--data-dir", tmp_path, *verb, stdin=b"line\n")
    assert (ran.status, ran.sentence, ran.out) == (3, NO_ENGINE, b"")


def test_an_engine_that_was_killed_is_no_engine(tmp_path: Path) -> None:
    node = lone_node(tmp_path / "data").start().wait_ready()
    node.kill()
    ran = node.cli("room", "list")
    assert (ran.status, ran.sentence) == (3, NO_ENGINE)
    with running(node):
        assert node.good("room", "list") == b"No room yet.\n"


def test_wrong_invites_are_refused_in_words(node: RealNode) -> None:
    link = node.create("invited")
    expired = encode_invite(Invite(bytes(32), "gone", int(time.time()) - 1))
    copy = "This is not a whole invite link: copy it again from its start to its end."
    cases = {
        link: "You are in this room already, as invited.",
        expired: "This invite has expired: ask for a new one.",
        link[:-9]: copy,
        link.replace("railgun:", "https:"): copy,
        link[:40] + ("A" if link[40] != "A" else "B") + link[41:]: copy,
        "railgun://join/": copy,
        "": copy,
    }
    for given, sentence in cases.items():
        ran = node.cli("room", "join", given)
        assert (ran.status, ran.sentence) == (2, sentence)
        assert node.cli("room", "join", "-", stdin=given.encode() + b"\n").sentence == sentence


def test_a_joiner_whom_nobody_answers_is_told_and_can_leave(node: RealNode) -> None:
    link = encode_invite(Invite(b"\x07" * 32, "nobody there", int(time.time()) + 60))
    said = node.good("room", "join", "--timeout-s", "0.5", link).decode()
    assert said.startswith("Joined; no member has answered yet: nobody there (")
    assert said.endswith(", 1 member.\n")
    assert b"waiting for a member" in node.good("room", "list")
    node.good("room", "leave", "nobody there")


@pytest.mark.parametrize("name", ["", "   ", "tab\there", "line\nbreak", "\u202eevil", "x" * 121, "é" * 61])
def test_names_that_do_not_print_or_are_too_long_are_refused(node: RealNode, name: str) -> None:
    ran = node.cli("room", "create", "--", name)
    expected = "A room's name has 1 to 120 bytes, all of them printable characters."
    assert (ran.status, ran.sentence) == (2, expected)


def test_a_name_of_odd_bytes_is_refused_by_every_verb(node: RealNode) -> None:
    for verb in ("create", "read", "leave", "invite", "members"):
        ran = node.cli("room", verb, b"r\xff")
        assert (ran.status, ran.sentence) == (2, "A name or a link must be text.")


@pytest.mark.parametrize("name", ["a/b", "../../etc", "'; drop table", "-x", "💬 Ünïcöde", "%s{}", "x" * 120])
def test_odd_but_printable_names_work_everywhere(node: RealNode, name: str) -> None:
    said = node.good("room", "create", "--", f"  {name} ").decode()
    assert said.startswith(f"Created {name} (")
    assert said.endswith(", 1 member.\n")
    node.good("room", "send", "--", name, "hello")
    assert node.good("room", "read", "--", name) == b"hello\n"
    assert node.good("room", "invite", "--", name).startswith(b"railgun://join/")
    again = node.cli("room", "create", "--", name)
    assert (again.status, again.sentence) == (2, f"You have a room called {name} already.")


def test_what_cannot_be_read_is_said_before_anything_is_sent(node: RealNode, tmp_path: Path) -> None:
    node.ask("room.create", RoomCreate("files"), RoomInfo)
    text = tmp_path / "text"
    text.write_bytes(b"line\n")
    cases = {
        (tmp_path / "none",): f"{tmp_path / 'none'} cannot be read: No such file or directory.",
        (tmp_path,): f"{tmp_path} cannot be read: Is a directory.",
        (text, "both"): "Give TEXT or --file, not both.",
    }
    for (file, *more), sentence in cases.items():
        ran = node.cli("room", "send", "files", "--file", file, *more)
        assert (ran.status, ran.sentence) == (2, sentence)
    assert node.cli("room", "send", "nowhere", "x").sentence == "You are in no room called nowhere."
    assert node.read("files") == b""


def test_a_missing_verb_and_an_unknown_one_are_wrong_usage(node: RealNode) -> None:
    assert railgun("room").sentence == "A verb is missing. See: railgun room --help"
    assert railgun("inspect").status == 2
    assert railgun("nosuch").sentence == "No such command 'nosuch'. See: railgun --help"
    ran = node.cli("room", "read", "r", "--follow", "--json")
    assert (ran.status, json.loads(ran.out)["error"]["code"]) == (2, "usage")
