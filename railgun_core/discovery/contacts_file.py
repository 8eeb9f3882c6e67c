"""The contacts of the last run, as JSON, so that a restart needs no bootstrap node.

Written whole to a temporary file and renamed. A damaged file is no error: the node starts without.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from railgun_core.base.ids import dht_id_of
from railgun_core.discovery.datagrams import ContactInfo, packed_host
from railgun_core.wire.records import AddressKind, PeerBody, Record

_VERSION = 1
_MAX_CONTACTS = 256


def save_contacts(path: Path, contacts: Sequence[ContactInfo]) -> bool:
    """Write them. False when the disk does not allow it, which costs a slower next start and no more."""
    listed = [{"id": c.id.hex(), "host": c.host, "port": c.port} for c in contacts[:_MAX_CONTACTS]]
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps({"version": _VERSION, "contacts": listed}), encoding="ascii")
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        return False
    return True


def load_contacts(path: Path) -> tuple[ContactInfo, ...]:
    """What was saved, and nothing that looks wrong. Empty when there is no readable file."""
    try:
        content = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ()
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        return ()
    listed = content.get("contacts")
    read = [_contact(item) for item in listed[:_MAX_CONTACTS]] if isinstance(listed, list) else []
    return tuple(contact for contact in read if contact is not None)


def contacts_of(record: Record) -> tuple[ContactInfo, ...]:
    """Where a peer's record says that it takes DHT questions."""
    addresses = record.body.addresses if isinstance(record.body, PeerBody) else ()
    node_id = dht_id_of(record.peer_id)
    return tuple(
        ContactInfo(node_id, address.host, address.port) for address in addresses if address.kind is AddressKind.DHT
    )


def _contact(item: object) -> ContactInfo | None:
    if not isinstance(item, dict):
        return None
    node_id, host, port = item.get("id"), item.get("host"), item.get("port")
    if not isinstance(node_id, str) or not isinstance(host, str) or not isinstance(port, int):
        return None
    try:
        packed_host(host)
        raw_id = bytes.fromhex(node_id)
    except ValueError:
        return None
    return ContactInfo(raw_id, host, port) if len(raw_id) == 20 and 0 < port < 65_536 else None
