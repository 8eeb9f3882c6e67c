"""B12: a relay says that it has everything and that a majority has it, and hands on nothing.

Its word shows as accepted and as stored, for that is what it said; "delivered" shows only on a member's own signed
word, sealed for the room. So lying relays get 10,000 messages to "stored" and none to "delivered", also when they play
back what members said before, change it, or make something up. Residual: content is late, not lost, because its
sender keeps it and sends it again until members confirm.
"""

from __future__ import annotations

import random

from railgun_core.changes import Delivery
from railgun_core.rooms.content import size_for
from railgun_core.rooms.epoch_keys import epoch_keys
from railgun_core.wire.envelope import seal
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, Slice, envelope_frame
from tests.unit.rooms.table import BOB, EPOCH, HANDLE, Other, Table, frame_of, met, seated

MESSAGES = 10_000
BATCH = 500
SECONDS = 60


def lied_to() -> tuple[Table, Other]:
    """A room whose relays have taken 10,000 messages, say that they are stored, and have shown them to nobody."""
    table = seated()
    ann = met(table)
    for first in range(0, MESSAGES, BATCH):
        table.submit(*(b"%d" % number for number in range(first, first + BATCH)))
    for _ in range(SECONDS):
        for relay in list(table.relays):
            relay.ack()
        if shown(table, Delivery.STORED) == MESSAGES:
            break
        table.after(1.0)  # relays grant so much a second
    return table, ann


def shown(table: Table, delivery: Delivery) -> int:
    """How many of the messages have come so far, by what the person was told."""
    return max((last for _, last, reached in table.moved if reached is delivery), default=0)


def test_of_10000_messages_that_relays_receipt_and_drop_none_is_shown_as_delivered() -> None:
    table, ann = lied_to()
    assert shown(table, Delivery.STORED) == MESSAGES
    assert shown(table, Delivery.DELIVERED) == 0
    table.relay(Slice.PUSH).push(ann.has(table, MESSAGES))
    assert shown(table, Delivery.DELIVERED) == MESSAGES  # her own word, and only that


def test_nothing_that_a_relay_can_make_of_what_it_saw_shows_as_delivered() -> None:
    rng = random.Random(12)
    table, ann = lied_to()
    relay = table.relay(Slice.PUSH)
    old = frame_of(table, *ann.has(table, 0))
    real = frame_of(table, *ann.has(table, MESSAGES))  # what the relay would need, and changes in some place
    for _ in range(300):
        at = rng.randrange(ENVELOPE_HEADER_BYTES, len(real))
        relay.say(real[:at] + bytes((real[at] ^ (1 << rng.randrange(8)),)) + real[at + 1 :])
    for forged in (old, made_up(table, rng), of_another_room(table, ann, rng)):
        relay.say(forged)
    assert shown(table, Delivery.DELIVERED) == 0


def made_up(table: Table, rng: random.Random) -> bytes:
    return envelope_frame(HANDLE, expiry_s=expiry(table), msg_id=table.name_of(1), envelope=rng.randbytes(256))


def of_another_room(table: Table, ann: Other, rng: random.Random) -> bytes:
    """Her word, sealed with a key that the relay has: that of a room of its own."""
    msg_id, content = ann.has(table, MESSAGES)
    sealed = seal(content, epoch_keys(b"x" * 32, EPOCH).seal, size=size_for(content), nonce=rng.randbytes(12))
    return envelope_frame(HANDLE, expiry_s=expiry(table), msg_id=msg_id, envelope=sealed)


def expiry(table: Table) -> int:
    return int(table.now.unix_s) + 300


def test_who_has_one_message_less_holds_back_that_one_only() -> None:
    table = seated()
    ann, bob = met(table), met(table, BOB)
    table.submit(b"one", b"two")
    relay = table.relay(Slice.PUSH)
    relay.ack()
    relay.push(ann.has(table, 2))
    relay.push(bob.has(table, 1))
    assert shown(table, Delivery.DELIVERED) == 1
