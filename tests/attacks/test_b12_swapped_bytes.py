"""B12: a relay that takes envelopes, says they are stored, and passes other bytes on under the same names.

Its fellows store, push and name what they got, so names prove nothing: only members' own confirmations do. When nobody
near confirms anything, the sender publishes through another relay. Residual: some ten seconds for each such relay, and
as long again in each epoch whose first relay is one.
"""

from __future__ import annotations

import pytest

from railgun_core.changes import Delivery
from railgun_core.events import Send
from railgun_core.wire.frames import ENVELOPE_HEADER_BYTES, FrameSplitter
from railgun_core.wire.kinds import FrameType
from tests.unit.rooms.village import House, Village

PEOPLE = ("member0", "member1", "member2")


def swap_from_now_on(village: Village, swapper: House) -> list[int]:
    """This relay garbles every envelope that it sends; how many so far."""
    plain, swapped = village._send, [0]

    def send(house: House, effect: Send) -> None:
        if house is swapper:
            batch = FrameSplitter().feed(b"".join(bytes(chunk) for chunk in effect.chunks))
            assert batch is not None
            frames = []
            for start, stop in zip(batch.bounds, batch.bounds[1:], strict=False):
                frame = bytes(batch.data[start:stop])
                if frame[4] == FrameType.ENVELOPE:
                    swapped[0] += 1
                    frame = frame[:ENVELOPE_HEADER_BYTES] + village.rng.randbytes(stop - start - ENVELOPE_HEADER_BYTES)
                frames.append(frame)
            effect = Send(effect.link, tuple(frames))
        plain(house, effect)

    village._send = send  # type: ignore[method-assign]
    return swapped


@pytest.mark.parametrize("mailboxes", [0, 3])
def test_a_relay_that_swaps_bytes_keeps_a_member_from_the_others_for_seconds_only(mailboxes: int) -> None:
    village = Village(mailboxes=mailboxes, members=3, relays=20)
    village.start(*village.houses)
    village.enter(*PEOPLE)
    village.run(150.0)
    village.say("member0", b"before")
    village.run_until(lambda: village.reached("member0", Delivery.DELIVERED) == 1, within_s=10.0)
    lane = village.houses["member0"].up.rooms.rooms[village.room].publishing_lane()
    assert lane is not None
    first = lane.open_sessions()[0].peer_id
    swapped = swap_from_now_on(village, next(h for h in village.houses.values() if h.identity.peer_id == first))
    village.say("member0", b"one", b"two")
    village.run_until(lambda: village.reached("member0", Delivery.DELIVERED) == 3, within_s=25.0)
    assert swapped[0] > 0
    assert first in lane.mute
    for name in PEOPLE[1:]:
        assert village.read(name)[-2:] == [b"one", b"two"]
    village.say("member0", b"three")
    took_s = village.run_until(lambda: village.reached("member0", Delivery.DELIVERED) == 4, within_s=10.0)
    assert took_s < 5.0, "what comes after does not go that way any more"
