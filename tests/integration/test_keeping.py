"""A mailbox that is switched while its engine runs: others hear of it by its record. Real engines, sockets, disks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import MsgId, Tag
from railgun_core.changes import MailAdd
from railgun_core.local_api import messages as m
from railgun_core.wire.records import PeerBody, PeerRole
from tests.integration.test_modes import Peer, peers, until

TAG = Tag(b"m" * 32)


def announces(seen_by: Peer, peer: Peer) -> bool:
    """Whether one engine's newest record of another says that it keeps mail."""
    record = seen_by.engine.node.view.get(peer.engine.node.identity.peer_id)
    return record is not None and isinstance(record.body, PeerBody) and PeerRole.MAILBOX in record.body.roles


async def renewed(seen_by: Peer, peer: Peer) -> None:
    """What a look-up brings: the newest record is in the directory."""
    async with asyncio.timeout(20):
        own = peer.engine.presence.record
        while own is None or (got := seen_by.engine.node.view.get(own.peer_id)) is None or got.sequence < own.sequence:
            await asyncio.sleep(0.05)
            seen_by.engine.node._timers.set("lookup", 0.0)
            seen_by.engine._plan_deadline()
            own = peer.engine.presence.record


async def test_the_role_is_announced_and_dropped_while_the_engine_runs(tmp_path: Path) -> None:
    async with peers(tmp_path, 2) as (known, _):
        mine, other = known
        assert not (await mine.verbs.mailbox(m.Empty())).on
        info = await mine.verbs.set_mailbox(m.MailboxSet(True, 300_000_000))
        assert (info.on, info.limit_bytes, info.status.serving) == (True, 300_000_000, True)
        assert info.disk_free_bytes
        await renewed(other, mine)
        assert announces(other, mine)
        assert mine.engine.status().roles == ("relay", "bootstrap", "mailbox")
        await mine.verbs.set_mailbox(m.MailboxSet(False))
        await renewed(other, mine)
        assert not announces(other, mine)


async def test_what_is_kept_is_announced_over_a_restart_until_it_is_dropped(tmp_path: Path) -> None:
    async with peers(tmp_path, 2) as (known, _):
        mine, other = known
        await mine.verbs.set_mailbox(m.MailboxSet(True))
        now_s = int(mine.engine.clock.instant().unix_s)
        mail = (MailAdd(TAG, now_s // 86_400, n, MsgId(bytes([n]) * 16), now_s + 86_400, bytes(300)) for n in (1, 2))
        await mine.engine.store.commit(tuple(mail))
        known[0] = mine = await mine.again()
        with pytest.raises(UsageError, match="2 envelopes of others"):
            await mine.verbs.set_mailbox(m.MailboxSet(False))
        info = await mine.verbs.set_mailbox(m.MailboxSet(False, kept="keep"))
        assert (info.on, info.status.envelopes, info.last_expires_unix_s) == (False, 2, now_s + 86_400.0)
        known[0] = mine = await mine.again()
        await renewed(other, mine)
        assert announces(other, mine)
        info = await mine.verbs.set_mailbox(m.MailboxSet(False, kept="drop"))
        await until(lambda: not mine.engine.node.mailbox.status().envelopes)
        await until(lambda: "mailbox" not in mine.engine.keeping.offers())
        await renewed(other, mine)
        assert not announces(other, mine)
        assert not (await mine.engine.store.load()).mail[0].kept


async def test_two_changes_of_different_options_at_once_are_both_kept(tmp_path: Path) -> None:
    async with peers(tmp_path, 1) as (known, _):
        verbs = known[0].verbs
        await asyncio.gather(
            verbs.set_mode(m.ModeSet("full")),
            verbs.set_mailbox(m.MailboxSet(True)),
            verbs.set_telemetry(m.TelemetrySet(True)),
        )
        again = known[0] = await known[0].again()
        assert (again.engine.config.mode, again.engine.config.telemetry) == ("full", "share")
        assert "mailbox" in again.engine.config.roles
        assert (await again.verbs.telemetry(m.TelemetryAsk())).goes == "not-hybrid"
