"""What every store must do for a mailbox, run on the one with a disk and on the one without.

The state machine at the end drives both side by side, with crashes and restarts: they must give the same answers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from railgun_core.base.ids import Tag
from railgun_core.changes import Change, MailAdd, MailDrop, MailEvict, SettingPut, StoredMail
from railgun_core.store.memory import MemoryStore
from railgun_core.store.port import Store
from railgun_core.store.sqlite import SqliteStore
from tests.contract.store_world import OTHER_TAG, TAG, mail

T = TypeVar("T")
THIRD_TAG = Tag(b"a" * 32)


def names(*adds: MailAdd) -> tuple[tuple[int, bytes, int, int], ...]:
    return tuple((add.position, add.digest, len(add.frame), add.expiry_s) for add in adds)


def frames(*adds: MailAdd) -> tuple[tuple[int, bytes], ...]:
    return tuple((add.position, add.frame) for add in adds)


async def test_a_store_without_mail_says_so(store: Store) -> None:
    assert (await store.load()).mail == ()
    assert await store.mail(TAG, 0, 9) == ()
    await store.commit([MailDrop(100, 100)])
    assert (await store.load()).mail == ()


async def test_a_start_gets_names_and_sizes_and_a_page_gets_frames(store: Store) -> None:
    adds = [mail(1), mail(2, size=65_569), mail(3)]
    await store.commit([adds[0], mail(1, tag=OTHER_TAG, day=4), *adds[1:]])
    assert (await store.load()).mail == (
        StoredMail(OTHER_TAG, 4, 2, names(mail(1))),
        StoredMail(TAG, 5, 4, names(*adds)),
    )
    assert await store.mail(TAG, 0, 9) == frames(*adds)


async def test_pages_begin_where_asked_and_end_at_the_limit(store: Store) -> None:
    adds = [mail(n) for n in range(1, 8)]
    await store.commit(adds)
    assert await store.mail(TAG, 3, 2) == frames(*adds[2:4])
    assert await store.mail(TAG, 7, 9) == frames(adds[6])
    assert await store.mail(TAG, 8, 9) == ()
    assert await store.mail(TAG, 1, 0) == ()


async def test_mail_of_the_same_digest_takes_the_place_of_what_is_there(store: Store) -> None:
    await store.commit([mail(1), mail(2)])
    again = mail(3, number=1, size=99, expiry_s=200)
    await store.commit([again, mail(4)])
    assert await store.mail(TAG, 0, 9) == frames(mail(2), again, mail(4))
    assert (await store.load()).mail == (StoredMail(TAG, 5, 5, names(mail(2), again, mail(4))),)
    await store.commit([MailDrop(100, 0)])
    assert await store.mail(TAG, 0, 9) == frames(again)


async def test_the_same_mail_twice_in_one_commit_is_kept_once(store: Store) -> None:
    await store.commit([mail(1), mail(2, number=1)])
    (stored,) = (await store.load()).mail
    assert (stored.kept, stored.next_position) == (names(mail(2, number=1)), 3)


async def test_mail_is_dropped_some_at_a_time_and_what_expired_first_goes_first(store: Store) -> None:
    await store.commit([mail(1, expiry_s=9), mail(2, expiry_s=8), mail(3, expiry_s=8), mail(4, expiry_s=50)])
    await store.commit([MailDrop(10, 0, 1)])
    assert [position for position, _ in await store.mail(TAG, 0, 9)] == [1, 3, 4]
    await store.commit([MailDrop(10, 6, 1)])
    assert [position for position, _ in await store.mail(TAG, 0, 9)] == [1, 4]
    await store.commit([MailDrop(10, 6, 9)])
    assert [position for position, _ in await store.mail(TAG, 0, 9)] == [4]


async def test_what_has_expired_goes_and_its_positions_are_not_given_again(store: Store) -> None:
    await store.commit([mail(1, expiry_s=50), mail(2, expiry_s=51), mail(3, expiry_s=50)])
    await store.commit([MailDrop(50, 5)])
    assert await store.mail(TAG, 0, 9) == frames(mail(2, expiry_s=51))
    await store.commit([MailDrop(51, 5)])
    assert (await store.load()).mail == (StoredMail(TAG, 5, 4, ()),)


async def test_a_tag_is_forgotten_when_its_day_is_over_and_nothing_is_left(store: Store) -> None:
    await store.commit([mail(1, day=4, expiry_s=50), mail(1, tag=OTHER_TAG, day=4), mail(1, tag=THIRD_TAG)])
    await store.commit([MailEvict(OTHER_TAG, 4, 1, 1, b"notice"), mail(2, tag=OTHER_TAG, day=4)])
    await store.commit([MailDrop(50, 5)])
    assert (await store.load()).mail == (
        StoredMail(OTHER_TAG, 4, 3, names(mail(2))),
        StoredMail(THIRD_TAG, 5, 2, names(mail(1))),
    )
    await store.commit([MailDrop(100, 6)])
    assert (await store.load()).mail == ()


async def test_what_was_evicted_leaves_its_notice(store: Store) -> None:
    await store.commit([mail(n) for n in range(1, 6)])
    await store.commit([MailEvict(TAG, 5, 1, 2, b"first")])
    (stored,) = (await store.load()).mail
    assert stored == StoredMail(TAG, 5, 6, names(*(mail(n) for n in range(3, 6))), (b"first",))
    await store.commit([MailEvict(TAG, 5, 1, 4, b"longer"), MailEvict(TAG, 5, 5, 5, b"another")])
    (stored,) = (await store.load()).mail
    assert stored == StoredMail(TAG, 5, 6, (), (b"longer", b"another"))
    await store.commit([mail(6), mail(7, number=1)])
    assert await store.mail(TAG, 0, 9) == frames(mail(6), mail(7, number=1))


async def test_mail_goes_in_the_order_of_the_calls_with_what_is_put_soon(store: Store) -> None:
    await store.commit([mail(1, expiry_s=50)])
    store.commit_soon([MailDrop(60, 0), SettingPut("a", "b")])
    await store.commit([mail(2, expiry_s=55)])
    assert await store.mail(TAG, 0, 9) == frames(mail(2, expiry_s=55))


class BothStores(RuleBasedStateMachine):
    """The same mail on both stores; after each step both say the same."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "railgun.db"
        self.memory = MemoryStore()
        self.sqlite = self.wait(SqliteStore.open(self.path))
        self.next = dict.fromkeys((TAG, OTHER_TAG, THIRD_TAG), 1)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def both(self, *changes: Change) -> None:
        self.wait(self.memory.commit(changes))
        self.wait(self.sqlite.commit(changes))

    @rule(
        tag=st.sampled_from([TAG, OTHER_TAG, THIRD_TAG]),
        numbers=st.lists(st.integers(1, 12), min_size=1, max_size=4),
        expiry_s=st.integers(1, 9),
        size=st.sampled_from([9, 65_569]),
    )
    def add(self, tag: Tag, numbers: list[int], expiry_s: int, size: int) -> None:
        adds = []
        for number in numbers:
            adds.append(mail(self.next[tag], tag=tag, day=tag[0] % 7, expiry_s=expiry_s, size=size, number=number))
            self.next[tag] += 1
        self.both(*adds)

    @rule(unix_s=st.integers(0, 9), before_day=st.integers(0, 7), most=st.sampled_from([1, 2, 500]))
    def drop(self, unix_s: int, before_day: int, most: int) -> None:
        self.both(MailDrop(unix_s, before_day, most))

    @rule(tag=st.sampled_from([TAG, OTHER_TAG]), first=st.integers(1, 9), count=st.integers(0, 5))
    def evict(self, tag: Tag, first: int, count: int) -> None:
        last = min(first + count, self.next[tag] - 1)
        if first <= last:
            self.both(MailEvict(tag, tag[0] % 7, first, last, b"%d" % last))

    @rule()
    def start_again(self) -> None:
        self.wait(self.sqlite.close())
        self.sqlite = self.wait(SqliteStore.open(self.path))
        assert self.sqlite.repaired is None
        self.memory.crash()
        self.memory.restore(self.memory.snapshot())
        self.wait(self.memory.commit([SettingPut("restored-backup", None)]))

    @invariant()
    def both_say_the_same(self) -> None:
        if not hasattr(self, "sqlite"):
            return
        assert self.wait(self.memory.load()).mail == self.wait(self.sqlite.load()).mail
        for tag in (TAG, OTHER_TAG, THIRD_TAG):
            everything = self.wait(self.sqlite.mail(tag, 0, 99))
            assert self.wait(self.memory.mail(tag, 0, 99)) == everything
            assert self.wait(self.memory.mail(tag, 3, 2)) == self.wait(self.sqlite.mail(tag, 3, 2))

    def teardown(self) -> None:
        if hasattr(self, "sqlite"):
            self.wait(self.sqlite.close())
            self.wait(self.loop.shutdown_default_executor())
            self.loop.close()
            self.folder.cleanup()


TestBothStores = BothStores.TestCase
TestBothStores.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
