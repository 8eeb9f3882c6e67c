"""What every store must do with what is private: secrets, mix tags, the exposure ledger, opaque items.

Runs on the store with a disk and on the one without.
"""

from __future__ import annotations

from dataclasses import replace

from railgun_core.changes import (
    RESTORED_BACKUP,
    ExposurePut,
    Item,
    ItemsAdd,
    MemberPut,
    Membership,
    MixTagsAdd,
    MixTagsDrop,
    SecretPut,
    SettingPut,
)
from railgun_core.store.port import Store
from tests.contract.store_world import ANN, DEVICE, ME, OTHER_ROOM, ROOM, items, room_put


async def test_the_switch_of_a_room_and_what_a_member_says_about_it_are_kept(store: Store) -> None:
    secured = replace(room_put(), secure=True)
    ann = MemberPut(ROOM, ANN, "Ann", 7, 3, Membership.ACTIVE, 5.5, secure=True, key=b"k" * 32)
    await store.commit([room_put(), secured, ann])
    (stored,) = (await store.load()).rooms
    assert (stored.room, stored.members) == (secured, (ann,))
    await store.commit([room_put(), replace(ann, secure=False, key=b"")])
    (stored,) = (await store.load()).rooms
    assert (stored.room, stored.members) == (room_put(), (replace(ann, secure=False, key=b""),))


async def test_the_secrets_of_a_room_and_of_the_device_are_loaded_by_name(store: Store) -> None:
    mine, yours = SecretPut(ROOM, "session", b"s" * 300), SecretPut(ROOM, "key", b"")
    device = SecretPut(DEVICE, "account", b"a" * 90)
    await store.commit([room_put(), room_put(OTHER_ROOM), mine, yours, device])
    state = await store.load()
    assert state.secrets == (device,)
    assert {r.room.room: r.secrets for r in state.rooms} == {ROOM: (yours, mine), OTHER_ROOM: ()}


async def test_the_last_word_about_a_secret_counts_and_none_removes_it(store: Store) -> None:
    first, second, gone = (SecretPut(ROOM, "session", value) for value in (b"one", b"two", None))
    await store.commit([room_put(), first, second])
    assert (await store.load()).rooms[0].secrets == (second,)
    await store.commit([first, gone])
    assert (await store.load()).rooms[0].secrets == ()
    await store.commit([gone, first])
    assert (await store.load()).rooms[0].secrets == (first,)


async def test_who_leaves_or_forgets_a_room_loses_its_secrets_and_no_others(store: Store) -> None:
    device, other = SecretPut(DEVICE, "account", b"a"), SecretPut(OTHER_ROOM, "session", b"o")
    for end in (store.end_membership, store.forget_room):
        await store.commit([room_put(), room_put(OTHER_ROOM), device, other, SecretPut(ROOM, "session", b"s")])
        await end(ROOM)
        await store.commit([room_put()])
        state = await store.load()
        assert state.secrets == (device,)
        assert {r.room.room: r.secrets for r in state.rooms} == {ROOM: (), OTHER_ROOM: (other,)}


async def test_the_tags_of_a_period_are_joined_and_forgotten_with_its_key(store: Store) -> None:
    await store.commit([MixTagsAdd(3, b"a" * 16), MixTagsAdd(4, b"b" * 32), MixTagsAdd(3, b"c" * 16)])
    assert (await store.load()).mix_tags == (MixTagsAdd(3, b"a" * 16 + b"c" * 16), MixTagsAdd(4, b"b" * 32))
    await store.commit([MixTagsDrop(4)])
    assert (await store.load()).mix_tags == (MixTagsAdd(4, b"b" * 32),)


async def test_a_figure_of_the_exposure_ledger_replaces_the_one_before(store: Store) -> None:
    puts = [
        ExposurePut(9, "guard", "peers", 3),
        ExposurePut(9, "bootstrap", "asked", 1),
        ExposurePut(8, "guard", "x", 7),
    ]
    await store.commit([*puts, ExposurePut(9, "guard", "peers", 4)])
    assert await store.exposure(day=9) == (puts[1], ExposurePut(9, "guard", "peers", 4))
    assert await store.exposure(day=7) == ()


async def test_the_exposure_ledger_goes_with_the_counters_by_whole_days(store: Store) -> None:
    await store.commit([ExposurePut(day, "guard", "peers", 1) for day in (1, 2, 3)])
    await store.prune(items_before_s=0.0, traffic_before_hour=2 * 24 + 5, committees_before_s=0.0)
    assert [len(await store.exposure(day=day)) for day in (1, 2, 3)] == [0, 1, 1]


async def test_opaque_items_stay_opaque(store: Store) -> None:
    plain, opaque = items(1, 1)[0], Item(2, 0, 1, b"ciphertext", 10.0, opaque=True)
    mixed = (Item(3, 0, 2, b"a", 10.0), Item(4, 1, 2, b"b", 10.0, opaque=True))
    await store.commit([room_put(), ItemsAdd(ROOM, ME, (plain, opaque), True), ItemsAdd(ROOM, ANN, mixed, False)])
    assert await store.own_items(ROOM, 1, 2) == (plain, opaque)
    assert [m.opaque for m in await store.messages(ROOM, after=0, limit=9)] == [False, True, True]


async def test_the_alarm_of_a_restored_backup_lasts_until_it_is_settled(store: Store) -> None:
    assert not (await store.load()).restored_backup
    await store.commit([SettingPut(RESTORED_BACKUP, "yes")])
    assert (await store.load()).restored_backup
    await store.commit([SecretPut(DEVICE, "account", b"new"), SettingPut(RESTORED_BACKUP, None)])
    assert not (await store.load()).restored_backup
