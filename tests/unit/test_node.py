"""The node routes: each link to the feature that owns it, each deadline to who set it, and garbage to nobody."""

from __future__ import annotations

import random
from dataclasses import replace

from railgun_core.base.ids import DialId, LinkId, MsgId, PeerId, Tag
from railgun_core.base.keys import Identity
from railgun_core.changes import SecretPut, StoredMail, StoredState
from railgun_core.committee.lookups import AFTER_CHANGE_S
from railgun_core.committee.trust import Trust
from railgun_core.events import (
    Dial,
    DialFailed,
    Effect,
    Event,
    Hangup,
    LinkDown,
    LinkUp,
    Lookup,
    RelaysFound,
    Save,
    Saved,
    Send,
    Tick,
)
from railgun_core.node import Node, NodeConfig
from railgun_core.relay.duty import RelayLimits
from railgun_core.status import Trust as TrustStatus
from railgun_core.wire.frames import Ping, Pong
from tests.unit.relay.desk import CLOCK, OWN, RECORDS, SIZE, START, batch_of

ROOT = b"a root of thirty-two bytes: node"
NOW = START.after(120)


def node_of(*, relays: bool = True, seed: int = 1, trust: Trust | None = None) -> Node:
    config = NodeConfig(CLOCK, SIZE, by_port=False, puzzle_bits=0, limits=RelayLimits(), relays=relays)
    node = Node(OWN, config, random.Random(seed), trust=trust)
    node.start(StoredState((), ()), NOW)
    return node


def only(effects: list[Effect], kind: type[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def without_secrets(effect: Effect) -> Effect:
    """Keys are drawn by the library that keeps them: only their bytes differ from run to run."""
    if not isinstance(effect, Save):
        return effect
    return replace(effect, changes=tuple(c for c in effect.changes if not isinstance(c, SecretPut)))


def inbound(node: Node, number: int) -> list[Effect]:
    return node.handle(LinkUp(LinkId(number), Identity(b"x" * 32).public_key, b"b", None), NOW)


def dialled(node: Node) -> list[Dial]:
    out: list[Effect] = []
    node.rooms.create("r", ROOT, NOW, out, joining=False)
    return [effect for effect in out if isinstance(effect, Dial)]


def test_it_looks_for_relays_at_once_and_often_while_it_knows_few() -> None:
    node = node_of()
    assert node.next_deadline_s() == NOW.mono_s
    (lookup,) = only(node.handle(Tick(), NOW), Lookup)
    assert isinstance(lookup, Lookup)
    assert lookup.targets == (OWN.peer_id[:20],)
    due_s = node.next_deadline_s()
    assert due_s is not None
    assert due_s <= NOW.mono_s + 1.2 * AFTER_CHANGE_S


def test_it_looks_rarely_once_it_knows_enough_and_around_the_tags_it_uses() -> None:
    node = node_of()
    node.handle(RelaysFound(tuple(RECORDS)), NOW)
    dialled(node)
    (lookup,) = only(node.handle(Tick(), NOW), Lookup)
    assert isinstance(lookup, Lookup)
    assert len(lookup.targets) == SIZE + 3
    later = NOW.after(20)
    node.handle(Tick(), later)
    assert not only(node.handle(Tick(), later.after(1)), Lookup)


def test_a_peer_that_does_not_serve_takes_no_links() -> None:
    node = node_of(relays=False)
    assert inbound(node, 5) == [Hangup(LinkId(5))]
    assert node.frames(LinkId(5), batch_of(Ping(1).encode()), NOW) == []


def test_who_still_hands_out_mail_takes_links_though_it_serves_nobody_any_more() -> None:
    config = NodeConfig(CLOCK, SIZE, by_port=False, puzzle_bits=0, limits=RelayLimits(), relays=False)
    node = Node(OWN, config, random.Random(1))
    kept = ((1, MsgId(b"m" * 16), 300, int(NOW.unix_s) + 86_400),)
    node.start(StoredState((), (), mail=(StoredMail(Tag(b"t" * 32), int(NOW.unix_s // 86_400), 2, kept),)), NOW)
    assert inbound(node, 5) == []
    out: list[Effect] = []
    node.mailbox.empty(NOW, out)
    (save,) = only(out, Save)
    assert isinstance(save, Save)
    node.handle(Saved(save.ticket), NOW)
    assert inbound(node, 6) == [Hangup(LinkId(6))]


def test_an_inbound_link_belongs_to_the_relay_and_its_end_is_forgotten() -> None:
    node = node_of()
    inbound(node, 5)
    (answer,) = node.frames(LinkId(5), batch_of(Ping(7).encode()), NOW)
    assert answer == Send(LinkId(5), (Pong(7).encode(),))
    node.handle(LinkDown(LinkId(5), "lost"), NOW)
    assert node.frames(LinkId(5), batch_of(Ping(7).encode()), NOW) == []


def test_rooms_dial_with_a_pseudonym_and_never_as_this_peer() -> None:
    node = node_of()
    node.handle(RelaysFound(tuple(RECORDS)), NOW)
    dials = dialled(node)
    assert len(dials) == 3
    assert len({dial.seed for dial in dials}) == 1
    assert dials[0].seed is not None
    assert Identity(dials[0].seed).public_key != OWN.public_key


def test_a_link_that_nobody_asked_for_is_hung_up() -> None:
    node = node_of()
    up = LinkUp(LinkId(9), RECORDS[0].public_key, b"b", DialId(999))
    assert node.handle(up, NOW) == [Hangup(LinkId(9))]


def test_a_dial_that_fails_is_followed_by_another_relay() -> None:
    node = node_of()
    node.handle(RelaysFound(tuple(RECORDS)), NOW)
    first = dialled(node)[0]
    effects = node.handle(DialFailed(first.dial, "timeout"), NOW)
    (again,) = only(effects, Dial)
    assert isinstance(again, Dial)
    assert again.record.peer_id != first.record.peer_id


def test_garbage_hangs_up_that_link_alone() -> None:
    node = node_of()
    inbound(node, 5)
    inbound(node, 6)
    assert node.frames(LinkId(5), batch_of(b"\x00\x00\x00\x02\x63\x00"), NOW) == [Hangup(LinkId(5))]
    assert len(node.frames(LinkId(6), batch_of(Ping(7).encode()), NOW)) == 1


def test_each_save_is_answered_by_its_own_ticket() -> None:
    node = node_of()
    out: list[Effect] = []
    room = node.rooms.create("r", ROOT, NOW, out, joining=False)
    node.rooms.submit(room, (b"one",), NOW, out)
    node.rooms.submit(room, (b"two",), NOW, out)
    tickets = [effect.ticket for effect in out if isinstance(effect, Save)]
    assert len(set(tickets)) == 3
    for ticket in tickets:
        node.handle(Saved(ticket), NOW)
    assert [item.body for item in room.outbox.queue] == [b"one", b"two"]


def test_the_same_seed_and_events_give_the_same_effects() -> None:
    events: list[Event] = [Tick(), RelaysFound(tuple(RECORDS)), Tick()]

    def story(seed: int) -> list[Effect]:
        node = node_of(seed=seed)
        out: list[Effect] = []
        node.rooms.create("r", ROOT, NOW, out, joining=False)
        for number, event in enumerate(events):
            out += node.handle(event, NOW.after(number))
        return [without_secrets(effect) for effect in out]

    assert story(1) == story(1)
    assert story(1) != story(2)


class OneTrusted:
    """Knows one good relay, and spends a token with each."""

    status = TrustStatus(standing="test", tokens="test")

    def __init__(self) -> None:
        self.asked: list[PeerId] = []

    def standing(self, relay: PeerId) -> float | None:
        return None

    def token(self, relay: PeerId) -> bytes:
        self.asked.append(relay)
        return b"token for " + relay[:4]


def test_a_session_is_opened_with_the_token_that_the_port_gives() -> None:
    trust = OneTrusted()
    node = node_of(trust=trust)
    node.handle(RelaysFound(tuple(RECORDS)), NOW)
    dial = dialled(node)[0]
    up = LinkUp(LinkId(4), dial.record.public_key, b"binding", dial.dial)
    sent = b"".join(b"".join(effect.chunks) for effect in node.handle(up, NOW) if isinstance(effect, Send))
    assert trust.asked == [dial.record.peer_id]
    assert b"token for " + dial.record.peer_id[:4] in sent


def test_a_client_asks_the_entry_around_no_place_that_could_name_it() -> None:
    node = node_of(relays=False)
    (lookup,) = only(node.handle(Tick(), NOW), Lookup)
    assert isinstance(lookup, Lookup)
    assert OWN.peer_id[:20] not in lookup.targets


def test_the_committees_of_high_security_rooms_are_never_looked_up() -> None:
    node = node_of()
    node.handle(RelaysFound(tuple(RECORDS)), NOW)
    out: list[Effect] = []
    room = node.rooms.create("r", ROOT, NOW, out, joining=False)
    before = len(out)
    node.rooms.secure(room, NOW, out, on=True)
    assert not only(out[before:], Dial)  # without a guard it rather waits
    (lookup,) = only(node.handle(Tick(), NOW), Lookup)
    assert isinstance(lookup, Lookup)
    assert lookup.targets == (OWN.peer_id[:20],)
