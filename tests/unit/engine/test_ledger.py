"""From links and frames to the exposure page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from railgun_core.base.clock import Instant
from railgun_core.base.ids import DialId, LinkId, MsgId, Tag, TagHandle
from railgun_core.base.keys import Identity
from railgun_core.engine.ledger import EngineLedger
from railgun_core.events import CentralBrought, CentralFollow, CentralKeep, CentralState, Dial
from railgun_core.status import ExposureRole
from railgun_core.store.memory import MemoryStore
from railgun_core.store.port import Store
from railgun_core.store.sqlite import SqliteStore
from railgun_core.transport.link import Link
from railgun_core.wire.frames import (
    PACKET_BYTES,
    Cell,
    CellKind,
    FrameBatch,
    FrameSplitter,
    Open,
    Packet,
    Ping,
    Role,
    Slice,
    envelope_frame,
)
from railgun_core.wire.mail import Collect, Deposit
from railgun_core.wire.records import PeerBody, PeerRole, Record, sign_record

TODAY = Instant(10.0, 20_000 * 86_400.0 + 43_200)
SEED = b"s" * 32
GUARD_LINK, OTHER = LinkId(7), LinkId(8)
TAG = Tag(b"t" * 32)


@dataclass
class FakeLink:
    """Only what the ledger reads of a link."""

    bytes_sent: int = 0
    bytes_received: int = 0


def record(number: int) -> Record:
    body = PeerBody((), PeerRole.RELAY, "t", 1, 1)
    return sign_record(Identity(bytes([number]) * 32), body, sequence=1, not_before_s=1, expires_s=2)


def dial(number: int, *, seed: bytes | None = SEED, via: LinkId | None = None) -> Dial:
    return Dial(DialId(number), record(number), seed, via)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ledger(store: MemoryStore) -> EngineLedger:
    return made(store)


def made(store: Store, now: Instant = TODAY) -> EngineLedger:
    return EngineLedger(store, salt=b"salt" * 4, now=now)


def up(ledger: EngineLedger, effect: Dial, number: LinkId = OTHER) -> FakeLink:
    """Dial, and have the link."""
    link = FakeLink()
    ledger.dialling(effect)
    ledger.dialled(effect, number, cast(Link, link))
    return link


def opening(tag: Tag = TAG) -> bytes:
    return Open(tag, 3, Role.MEMBER, Slice.PUSH, b"").encode()


def envelope() -> bytes:
    return envelope_frame(TagHandle(TAG[:8]), expiry_s=1, msg_id=MsgId(b"m" * 16), envelope=b"x" * 100)


def batch(*frames: bytes) -> FrameBatch:
    found = FrameSplitter().feed(b"".join(frames))
    assert found is not None
    return found


async def pages(ledger: EngineLedger, now: Instant = TODAY, *, days_ago: int = 0) -> dict[str, ExposureRole]:
    return {page.role: page for page in (await ledger.exposure(days_ago, now)).roles}


async def test_a_relay_of_a_room_is_one_that_saw_the_address(ledger: EngineLedger) -> None:
    link = up(ledger, dial(1))
    ledger.sent(OTHER, [opening()])
    ledger.sent(OTHER, [envelope(), envelope(), Ping(1).encode()])
    ledger.received(OTHER, batch(Ping(1).encode(), envelope()))
    link.bytes_sent, link.bytes_received = 500, 300
    page = (await pages(ledger))["relay-direct"]
    assert page.counts == {
        "peers": 1,
        "links": 1,
        "tags": 1,
        "published": 2,
        "delivered": 1,
        "bytes-sent": 500,
        "bytes-received": 300,
        "runs": 1,
    }
    assert page.peers == 1
    assert "This address sent 2 envelopes: when, and of which size." in page.learned


async def test_frames_joined_in_one_chunk_count_one_by_one(ledger: EngineLedger) -> None:
    up(ledger, dial(1))
    ledger.sent(OTHER, [memoryview(opening() + opening(Tag(b"u" * 32)) + envelope()), envelope()])
    counts = (await pages(ledger))["relay-direct"].counts
    assert (counts["tags"], counts["published"]) == (2, 2)


async def test_a_relay_behind_a_guard_did_not_see_the_address(ledger: EngineLedger) -> None:
    up(ledger, dial(1), GUARD_LINK)
    ledger.sent(GUARD_LINK, [Cell(CellKind.REGISTER, 0, b"r" * 32).encode()])
    up(ledger, dial(2, via=GUARD_LINK))
    ledger.sent(OTHER, [opening()])
    ledger.received(OTHER, batch(envelope()))
    found = await pages(ledger)
    assert list(found) == ["relay-guarded", "guard"]
    assert found["relay-guarded"].not_learned[0] == "This device's address: 1 link went through a guard."
    assert found["relay-guarded"].counts["delivered"] == 1
    assert found["guard"].counts["tunnels"] == 1
    assert "published" not in found["relay-guarded"].counts


async def test_a_guard_is_counted_in_packets_and_in_cells_of_one_size(ledger: EngineLedger) -> None:
    link = up(ledger, dial(1))
    packet = Packet(bytes(PACKET_BYTES)).encode()
    ledger.sent(OTHER, [packet])
    ledger.sent(OTHER, [packet, packet])
    link.bytes_sent, link.bytes_received = 5 * len(packet), 4 * len(packet) + 10
    for _ in range(2):
        counts = (await pages(ledger))["guard"].counts
        assert (counts["packets"], counts["cells"]) == (3, 6)  # two cells out, four in; the rest of one is on its way
    link.bytes_received = 5 * len(packet)
    ledger.link_closed(OTHER)
    assert (await pages(ledger))["guard"].counts["cells"] == 7


async def test_a_tunnel_that_came_to_nothing_is_known_to_the_guard_all_the_same(ledger: EngineLedger) -> None:
    ledger.dialling(dial(2, via=GUARD_LINK))
    assert (await pages(ledger))["guard"].learned == ("They were asked 1 time for a tunnel, and knew to which relay.",)


async def test_a_relay_and_a_mix_meet_others_of_their_kind(ledger: EngineLedger) -> None:
    up(ledger, dial(1, seed=None), LinkId(1))
    up(ledger, dial(2, seed=None), LinkId(2))
    up(ledger, dial(3, seed=None), LinkId(3))
    ledger.sent(LinkId(1), [opening()])
    ledger.sent(LinkId(1), [envelope()] * 9)
    ledger.sent(LinkId(2), [Packet(bytes(PACKET_BYTES)).encode()] * 4)
    ledger.sent(LinkId(3), [opening()])
    ledger.sent(LinkId(3), [Packet(bytes(PACKET_BYTES)).encode()])
    found = await pages(ledger)
    assert found["fellow-relay"].counts == {"peers": 2, "links": 2, "runs": 1}  # not one word of what was relayed
    assert found["mix-neighbour"].counts == {"peers": 2, "links": 2, "packets": 5, "runs": 1}


@pytest.mark.parametrize(("seed", "role"), [(SEED, "relay-direct"), (None, "fellow-relay")])
async def test_a_link_without_a_frame_showed_the_address_too(
    ledger: EngineLedger, seed: bytes | None, role: str
) -> None:
    up(ledger, dial(1, seed=seed))
    assert await pages(ledger) == {}
    ledger.link_closed(OTHER)
    assert list(await pages(ledger)) == [role]


async def test_links_of_others_count_nothing(ledger: EngineLedger) -> None:
    ledger.sent(OTHER, [envelope()])
    ledger.sent(OTHER, [])
    ledger.received(OTHER, batch(envelope()))
    ledger.link_closed(OTHER)
    assert await pages(ledger) == {}


async def test_look_ups_count_contacts_places_and_times(ledger: EngineLedger) -> None:
    ledger.looked_up([b"a", b"b"], [b"one", b"two"])
    ledger.looked_up([b"a"], [b"two", b"three"])
    ledger.looked_up([b"c"], [])  # nobody was there to be asked
    assert (await pages(ledger))["dht-contact"].counts == {"peers": 3, "lookups": 2, "places": 2, "runs": 1}


async def test_contacts_met_without_a_look_up_count_too(ledger: EngineLedger) -> None:
    ledger.contacts_met([b"a", b"b"])
    ledger.contacts_met([b"a"])
    assert (await pages(ledger))["dht-contact"].counts == {"peers": 2, "runs": 1}


async def test_bootstrap_nodes_count_by_address(ledger: EngineLedger) -> None:
    ledger.bootstrap_asked([("127.0.0.1", 1), ("127.0.0.1", 2)])
    ledger.bootstrap_asked([("127.0.0.1", 1)], targets=[b"a"])
    ledger.bootstrap_asked([])
    assert (await pages(ledger))["bootstrap"].counts == {"peers": 2, "places": 1, "runs": 1}


async def test_the_figures_of_a_run_survive_a_restart(tmp_path: Path) -> None:
    for run in (1, 2):
        store = await SqliteStore.open(tmp_path / "railgun.db")
        ledger = made(store)
        await ledger.load()
        link = up(ledger, dial(1))
        ledger.sent(OTHER, [opening(), envelope()])
        link.bytes_sent = 100
        ledger.link_closed(OTHER)
        ledger.flush(TODAY)
        await store.close()
        counts = (await made_again(tmp_path))["relay-direct"].counts
        assert (counts["links"], counts["published"], counts["bytes-sent"]) == (run, run, 100 * run)
        assert counts["runs"] == run


async def made_again(folder: Path) -> dict[str, ExposureRole]:
    store = await SqliteStore.open(folder / "railgun.db")
    ledger = made(store)
    await ledger.load()
    found = await pages(ledger)
    await store.close()
    return found


async def test_another_day_begins_with_the_links_that_are_open(ledger: EngineLedger) -> None:
    link = up(ledger, dial(1))
    ledger.sent(OTHER, [opening(), envelope()])
    link.bytes_sent = 100
    tomorrow = TODAY.after(86_400)
    ledger.flush(tomorrow)
    link.bytes_sent = 130
    assert (await pages(ledger, tomorrow))["relay-direct"].counts == {
        "peers": 1,
        "links": 1,
        "bytes-sent": 30,
        "runs": 1,
    }
    yesterday = (await pages(ledger, tomorrow, days_ago=1))["relay-direct"]
    assert (yesterday.counts["published"], yesterday.counts["bytes-sent"]) == (1, 100)
    assert await pages(ledger, tomorrow, days_ago=2) == {}


async def test_a_page_says_which_day_it_is_of(ledger: EngineLedger) -> None:
    assert (await ledger.exposure(3, TODAY)).day_unix_s == (20_000 - 3) * 86_400


async def test_nothing_is_written_when_nothing_happens(store: MemoryStore, ledger: EngineLedger) -> None:
    ledger.flush(TODAY)
    assert not store._soon


async def test_mail_names_its_tag_and_counts_what_is_left(ledger: EngineLedger) -> None:
    up(ledger, dial(1))
    collect = Collect(TAG, 20_000, 0, follow=False, signature=b"s" * 64)
    deposit = Deposit(Tag(b"u" * 32), 20_000, 1, MsgId(b"m" * 16), b"s" * 64, b"x" * 256)
    ledger.sent(OTHER, [collect.encode(), deposit.encode()])
    counts = (await pages(ledger))["relay-direct"].counts
    assert (counts["tags"], counts["published"]) == (2, 1)


async def test_the_central_server_has_a_part_of_its_own(ledger: EngineLedger) -> None:
    ledger.central(CentralState(False, "unreachable"))
    assert await pages(ledger) == {}
    ledger.central(CentralFollow(((TAG, 0), (Tag(b"u" * 32), 3))))
    ledger.central(CentralState(True))
    ledger.central(CentralKeep(1, TAG, envelope()))
    ledger.central(CentralBrought(TAG, 4, (envelope(), envelope())))
    page = (await pages(ledger))["central"]
    assert page.counts == {"peers": 1, "links": 1, "tags": 2, "published": 1, "delivered": 2, "runs": 1}
    assert page.learned[1].startswith("This address followed 2 tags there, and so they belong together.")
    assert page.not_learned[0].startswith("Which rooms: ")
