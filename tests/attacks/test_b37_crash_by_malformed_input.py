"""B37: bytes that no honest peer sends, at every place where bytes come in.

Garbage ends the link it came on, and only that: the node raises nothing, and everybody else is served as before.
Residual: a peer may dial and send garbage again; transports bound how often.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, handle_of
from railgun_core.base.keys import Identity
from railgun_core.changes import StoredState
from railgun_core.events import Dial, Effect, Hangup, LinkDown, LinkUp, Send
from railgun_core.node import Node, NodeConfig
from railgun_core.relay.duty import RelayLimits
from railgun_core.relay.opening import open_message
from railgun_core.wire.frames import FrameBatch, Open, Opened, Role, Slice
from railgun_core.wire.kinds import FrameType
from tests.unit.relay.desk import CLOCK, KEYS, OWN, RECORDS, SIZE, START, batch_of, envelope

CONFIG = NodeConfig(CLOCK, SIZE, by_port=False, puzzle_bits=0, limits=RelayLimits(), relays=True)
ROOT = b"r" * 32  # the room of KEYS


def node_at_work() -> Node:
    node = Node(OWN, CONFIG, random.Random(1))
    node.start(StoredState((), ()), START)
    node.view.merge(RECORDS, START.unix_s)
    return node


def arrive(node: Node, number: int) -> LinkId:
    link = LinkId(number)
    key = Identity(number.to_bytes(32, "big")).public_key
    node.handle(LinkUp(link, key, b"binding", None), START)
    return link


def session(node: Node, number: int) -> LinkId:
    """A member's link with an open session."""
    link = arrive(node, number)
    draft = Open(KEYS.tag, KEYS.epoch, Role.MEMBER, Slice.PUSH, b"")
    signature = KEYS.sign.sign("open", open_message(b"binding", draft))
    node.frames(link, batch_of(Open(KEYS.tag, KEYS.epoch, Role.MEMBER, Slice.PUSH, signature).encode()), START)
    return link


def sent_to(link: LinkId, effects: list[Effect]) -> bytes:
    return b"".join(b"".join(e.chunks) for e in effects if isinstance(e, Send) and e.link == link)


BODIES = st.tuples(st.sampled_from([*FrameType, 0, 15, 99, 255]), st.binary(max_size=400))


@given(st.lists(BODIES, min_size=1, max_size=6))
def test_garbage_on_a_members_link_ends_at_most_that_link_and_the_others_are_served(
    bodies: list[tuple[int, bytes]],
) -> None:
    node = node_at_work()
    writer, reader, evil = session(node, 1), session(node, 2), session(node, 3)
    for kind, body in bodies:
        effects = node.frames(evil, batch_of(_raw(kind, body)), START)
        assert all(effect.link == evil for effect in effects if isinstance(effect, Hangup))
    good = envelope(7)
    assert sent_to(reader, node.frames(writer, batch_of(good), START)) == good


@given(st.lists(BODIES, min_size=1, max_size=6), st.booleans())
def test_garbage_from_a_relay_ends_at_most_its_session_and_the_room_goes_on(
    bodies: list[tuple[int, bytes]], opened_first: bool
) -> None:
    node = node_at_work()
    out: list[Effect] = []
    node.rooms.create("r", ROOT, START.after(120), out, joining=False)
    dials = [effect for effect in out if isinstance(effect, Dial)]
    for number, dial in enumerate(dials, 100):
        node.handle(LinkUp(LinkId(number), dial.record.public_key, b"b", dial.dial), START.after(120))
    evil = LinkId(100)
    if opened_first:
        _feed(node, evil, Opened(handle_of(KEYS.tag), 0, 5, 100, 100).encode())
    for kind, body in bodies:
        for effect in _feed(node, evil, _raw(kind, body)):
            assert not isinstance(effect, Hangup) or effect.link == evil
    room = next(iter(node.rooms.rooms.values()))
    _feed(node, LinkId(101), Opened(handle_of(KEYS.tag), 0, 5, 100, 100).encode())
    assert room.publishing_lane() is not None


@pytest.mark.parametrize("link", [0, 99, 1 << 62])
def test_frames_and_ends_of_links_that_were_never_there_are_nothing(link: int) -> None:
    node = node_at_work()
    assert node.frames(LinkId(link), batch_of(_raw(99, b"x")), START) == []


def test_a_thousand_bad_links_leave_nothing_behind() -> None:
    node, rng = node_at_work(), random.Random(37)
    writer, reader = session(node, 1), session(node, 2)
    for number in range(3, 1_003):
        link = session(node, number)
        node.frames(link, batch_of(_raw(rng.randrange(256), rng.randbytes(30))), START)
        node.handle(LinkDown(link, "malformed"), START)
    (duty,) = node.relay.duties.values()
    assert set(duty.members) == {writer, reader}
    assert len(node.relay._links) == 2


def _raw(kind: int, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(4, "big") + bytes((kind,)) + body


def _feed(node: Node, link: LinkId, data: bytes) -> list[Effect]:
    batch: FrameBatch = batch_of(data)
    now: Instant = START.after(120)
    return node.frames(link, batch, now)
