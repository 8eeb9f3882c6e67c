"""The contacts file."""

from __future__ import annotations

import json
from pathlib import Path

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.contacts_file import load_contacts, save_contacts
from railgun_core.discovery.datagrams import ContactInfo

ME = Identity(b"\x01" * 32)
HERE = ("10.0.0.1", 4_000)
START = Instant(1_000.0, 1_700_000_000.0)


def test_contacts_survive_a_restart_and_damage_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "contacts.json"
    contacts = (ContactInfo(b"a" * 20, "10.0.0.1", 1), ContactInfo(b"b" * 20, "fd00::1", 65_535))
    assert save_contacts(path, contacts)
    assert load_contacts(path) == contacts
    wrong: list[object] = [
        [], {}, {"version": 2}, {"version": 1, "contacts": 3},
        {"version": 1, "contacts": [3, {}, {"id": "zz", "host": "10.0.0.1", "port": 1},
                                    {"id": "61" * 20, "host": "example", "port": 1},
                                    {"id": "61" * 20, "host": "10.0.0.1", "port": 0}]},
    ]  # fmt: skip
    for content in wrong:
        path.write_text(json.dumps(content), encoding="ascii")
        assert load_contacts(path) == ()
    path.write_bytes(b"\xff\x00")
    assert load_contacts(path) == ()
    assert load_contacts(tmp_path / "none") == ()
    assert not save_contacts(tmp_path / "deep" / "contacts.json" / "below", contacts)
