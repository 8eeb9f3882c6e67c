"""Keeping mail for others, switched while the engine runs: what is announced, what is asked first, what is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.base.ids import MsgId, Tag
from railgun_core.base.keys import Identity
from railgun_core.changes import MailEvict, StoredMail, StoredState
from railgun_core.config import Config, load_config, save_options
from railgun_core.engine.board import Board
from railgun_core.engine.keeping import ROLE, Keeping
from railgun_core.engine.network import node_config
from railgun_core.engine.presence import own_record
from railgun_core.events import Effect, Save, Saved
from railgun_core.node import Node
from railgun_core.wire.records import Address, AddressKind, PeerRole
from tests.unit.engine.machine import Machine

MB = 1_000_000
FRAME_BYTES = 4_096 + 33


class Recorded:
    """An engine with a real node, whose disk is always willing."""

    def __init__(self, config: Config, *, kept: int) -> None:
        self.machine = Machine()
        self.config = config
        self.clock = self.machine.clock()
        now = self.clock.instant()
        self.board = Board(config, now)
        self.node = Node(Identity(b"k" * 32), node_config(config), random.Random(1))
        self.saves: list[Save] = []
        self.evicted = self.said = 0
        expiry_s = int(now.unix_s) + 6 * 86_400
        rows = tuple((n, MsgId(n.to_bytes(16, "big")), FRAME_BYTES, expiry_s) for n in range(1, kept + 1))
        mail = (StoredMail(Tag(b"t" * 32), int(now.unix_s // 86_400), kept + 1, rows),) if kept else ()
        self.carry_out(self.node.start(StoredState((), (), mail=mail), now))
        self.save()

    def carry_out(self, effects: list[Effect]) -> None:
        self.saves += [effect for effect in effects if isinstance(effect, Save)]

    def save(self) -> None:
        while self.saves:
            save = self.saves.pop(0)
            self.evicted += sum(isinstance(change, MailEvict) for change in save.changes)
            self.carry_out(self.node.handle(Saved(save.ticket), self.clock.instant()))

    async def settled(self) -> None:
        self.save()

    async def keep_options(self, **changes: object) -> None:
        save_options(self.config.data_dir, changes)
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]

    def say_what_is_so(self) -> None:
        self.said += 1


def begun(folder: Path, *, kept: int = 0, **options: object) -> tuple[Recorded, Keeping]:
    engine = Recorded(Config(data_dir=folder, puzzle_bits=0, **options), kept=kept)  # type: ignore[arg-type]
    return engine, Keeping(engine)


async def test_on_takes_mail_within_its_room_at_once_and_at_the_next_start(tmp_path: Path) -> None:
    engine, keeping = begun(tmp_path)
    await keeping.change(True, limit_bytes=250 * MB)
    mailbox = engine.node.mailbox
    assert (mailbox.serves, mailbox.limits.bytes, engine.node.config.mailbox) == (True, 250 * MB, mailbox.limits)
    assert keeping.offers() == engine.board.roles == ("relay", "mix", "mailbox")
    assert engine.said == 1
    saved = load_config(tmp_path)
    assert (saved.roles, saved.mailbox_bytes) == (("relay", "mix", "mailbox"), 250 * MB)
    await keeping.change(False)
    assert (mailbox.serves, keeping.offers(), load_config(tmp_path).roles) == (
        False,
        ("relay", "mix"),
        ("relay", "mix"),
    )
    assert engine.node.config.mailbox is None


async def test_off_with_mail_inside_asks_and_says_how_much_for_how_long(tmp_path: Path) -> None:
    engine, keeping = begun(tmp_path, kept=3, roles=("relay", "mailbox"))
    with pytest.raises(UsageError) as said:
        await keeping.change(False)
    assert said.value.code == "mail-inside"
    assert said.value.detail.startswith("3 envelopes of others are kept here, the last until 20")
    assert engine.node.mailbox.serves
    assert not (tmp_path / "config.toml").exists()


async def test_what_is_kept_until_it_expires_stays_announced_until_then_and_links_stay_open(tmp_path: Path) -> None:
    engine, keeping = begun(tmp_path, kept=3, roles=("mailbox",))
    await keeping.change(False, kept="keep")
    assert (engine.config.roles, keeping.offers(), engine.node.serves) == ((), ("mailbox",), True)
    assert (engine.node.mailbox.serves, engine.evicted) == (False, 0)
    again, after = begun(tmp_path, kept=3, roles=())
    assert (after.offers(), again.node.serves) == (("mailbox",), True)
    await keeping.change(False, kept="drop")  # the person cannot wait
    engine.save()
    assert (keeping.offers(), engine.node.serves, engine.evicted) == ((), False, 1)


async def test_with_one_other_mailbox_the_role_goes_at_once_so_that_senders_wait_for_no_second_yes(
    tmp_path: Path,
) -> None:
    engine, keeping = begun(tmp_path, kept=3, roles=("relay", "mailbox"))
    await keeping.change(False, kept="keep")
    now = engine.clock.instant()
    announced = [ROLE in keeping.offers()]
    for number in (1, 2):
        host = f"127.{number}.0.1"
        places = (Address(AddressKind.TLS, host, 4_000), Address(AddressKind.DHT, host, 4_000))
        other = Identity(bytes([number]) * 32)
        engine.node.view.merge(
            [own_record(other, places, PeerRole.MAILBOX, since_s=now.unix_s, unix_s=now.unix_s, epoch_s=600)],
            now.unix_s,
        )
        announced.append(ROLE in keeping.offers())
    assert announced == [True, False, True]


async def test_dropped_mail_leaves_the_disk_and_the_role_goes(tmp_path: Path) -> None:
    engine, keeping = begun(tmp_path, kept=3, roles=("relay", "mailbox"))
    await keeping.change(False, kept="drop")
    engine.save()
    assert (engine.node.mailbox.status().envelopes, engine.evicted, keeping.offers()) == (0, 1, ("relay",))


async def test_less_room_than_is_used_drops_only_when_that_was_said(tmp_path: Path) -> None:
    engine, keeping = begun(tmp_path, kept=300, roles=("relay", "mailbox"))
    used = engine.node.mailbox.status().used_bytes
    assert used > 2 * MB
    for kept in ("", "keep"):
        with pytest.raises(UsageError, match="with less space the oldest"):
            await keeping.change(limit_bytes=2 * MB, kept=kept)
    assert engine.node.mailbox.status().envelopes == 300
    await keeping.change(limit_bytes=2 * MB, kept="drop")
    engine.save()
    assert 0 < engine.node.mailbox.status().used_bytes <= 2 * MB


async def test_room_can_be_set_while_it_is_off_and_nothing_else_changes(tmp_path: Path) -> None:
    engine, keeping = begun(tmp_path, kept=300)
    await keeping.change(limit_bytes=2 * MB)
    assert (keeping.is_on, engine.node.mailbox.status().envelopes, load_config(tmp_path).mailbox_bytes) == (
        False,
        300,
        2 * MB,
    )


@pytest.mark.parametrize(
    ("options", "on", "limit_bytes", "kept", "sentence"),
    [
        ({}, True, 1 * MB, "", "Space for mail can be 2 MB to 1,099,511 MB."),
        ({}, True, 2 * 10**12, "", "Space for mail can be 2 MB to 1,099,511 MB."),
        ({}, False, None, "burn", "What is kept already can be kept or dropped: say keep or drop."),
        ({"roles": ("bootstrap",)}, True, None, "", "This peer was started to serve nobody"),
        ({"roles": ("mailbox",), "guards": "all"}, False, None, "", "Without this role the peer would have to hide"),
    ],
)
async def test_what_cannot_be_is_one_sentence_and_changes_nothing(
    tmp_path: Path, options: dict[str, object], on: bool, limit_bytes: int | None, kept: str, sentence: str
) -> None:
    engine, keeping = begun(tmp_path, **options)
    before = engine.config
    with pytest.raises(UsageError) as said:
        await keeping.change(on, limit_bytes=limit_bytes, kept=kept)
    assert said.value.detail.startswith(sentence)
    assert engine.config is before
    assert not (tmp_path / "config.toml").exists()
