"""B31, what others are told: with no room on the disk a mailbox gives no receipt for what it has not kept.

The real mailbox on the real store, saved by the engine's own saver, with SQLite's limit on pages at each page in turn.
Whoever has a receipt without a code finds the envelope after the mailbox was started again; who has none asks again,
and is kept once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import LinkId, MsgId
from railgun_core.engine import saving
from railgun_core.engine.saving import Saver
from railgun_core.events import Effect, Save, SaveSoon, Send
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.mailbox.mailbox import Mailbox, Then
from railgun_core.store.sqlite import SqliteStore
from railgun_core.wire.frames import FrameSplitter, decode_control
from railgun_core.wire.mail import Deposit, Receipt
from tests.attacks.test_b31_every_change import limit_pages
from tests.unit.mailbox.desk import OWN, START, VIEW, deposit

LINK = LinkId(1)
WITHIN_S = 20.0


class Keeper:
    """A mailbox with a disk, as the engine puts them together."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.then: dict[int, Then] = {}
        self.received: dict[MsgId, int] = {}
        self.refused: list[str] = []
        self.changed = asyncio.Event()
        self.mailbox = Mailbox(OWN, view=VIEW, limits=MailboxLimits(), when_saved=self._ticket)
        self.saver = Saver(store, self._saved, self._failed)

    async def start(self) -> Keeper:
        out: list[Effect] = []
        self.mailbox.start((await self.store.load()).mail, START, out, serves=True)
        self.mailbox.link_up(LINK, b"binding", START)
        self._do(out)
        return self

    def say(self, item: Deposit) -> None:
        out: list[Effect] = []
        self.mailbox.frame(LINK, item, START, out)
        self._do(out)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    def _ticket(self, then: Then) -> int:
        self.then[len(self.then) + 1] = then
        return len(self.then)

    def _saved(self, ticket: int) -> None:
        out: list[Effect] = []
        self.then[ticket](START, out)
        self._do(out)
        self.changed.set()

    def _failed(self, failure: EnvironmentFailure) -> None:
        self.refused.append(failure.code)
        self.changed.set()

    def _do(self, out: list[Effect]) -> None:
        for effect in out:
            match effect:
                case Save():
                    self.saver.put(effect)
                case SaveSoon():
                    self.store.commit_soon(effect.changes)
                case Send():
                    self._heard(b"".join(effect.chunks))
                case _:
                    raise AssertionError(effect)

    def _heard(self, data: bytes) -> None:
        batch = FrameSplitter().feed(data)
        for index in range(len(batch) if batch else 0):
            assert batch is not None
            found = decode_control(batch.data, batch.bounds[index], batch.bounds[index + 1])
            assert isinstance(found, Receipt)
            assert found.code is None
            self.received[found.msg_id] = self.received.get(found.msg_id, 0) + 1


@pytest.mark.parametrize("spare", range(0, 40, 3))
async def test_a_receipt_means_that_the_envelope_is_on_the_disk(
    spare: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "RETRY_S", 0.05)
    path, rng = tmp_path / "railgun.db", random.Random(spare)
    store = await SqliteStore.open(path)
    keeper = await Keeper(store).start()
    saver = asyncio.create_task(keeper.saver.run())
    await limit_pages(store, spare=spare)
    items = [deposit(n, size=rng.choice((256, 4_096, 65_536))) for n in range(40)]
    for item in items:
        keeper.say(item)
        await asyncio.sleep(0)  # some are on their way to the disk together, others alone
    await keeper.until(lambda: bool(keeper.refused))
    assert set(keeper.refused) == {"disk-full"}
    names = {item.digest: item.msg_id for item in items}
    on_disk = {names[digest] for stored in (await store.load()).mail for _, digest, _, _ in stored.kept}
    assert set(keeper.received) <= on_disk
    assert len(on_disk) < len(items)

    await limit_pages(store, spare=1 << 20)
    for item in items:  # senders without a receipt ask again
        keeper.say(item)
    await keeper.until(lambda: len(keeper.received) == len(items))
    saver.cancel()
    await asyncio.gather(saver, return_exceptions=True)
    await store.close()
    await found_again(path, items)


async def found_again(path: Path, items: list[Deposit]) -> None:
    """After a start each envelope is there once, under a position of its own."""
    store = await SqliteStore.open(path)
    assert store.repaired is None
    (stored,) = (await store.load()).mail
    assert sorted(digest for _, digest, _, _ in stored.kept) == sorted(item.digest for item in items)
    positions = [position for position, _, _, _ in stored.kept]
    assert positions == sorted(set(positions))
    assert stored.next_position > positions[-1]
    keeper = await Keeper(store).start()
    assert keeper.mailbox.status().envelopes == len(items)
    await store.close()
