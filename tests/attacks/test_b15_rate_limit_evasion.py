"""B15: more service than the quota, by sending faster, by opening again, or by waiting and bursting.

The bucket belongs to a session, and a link has one session for a room: opening again keeps the bucket. What this part
does not stop is a member with many links; links are bounded per address and key by the transports, and tokens for
sessions are not part of this version.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.relay.duty import RelayLimits
from railgun_core.wire.frames import Nack, Slice
from tests.unit.relay.desk import Desk, envelope

LIMITS = RelayLimits(rate_per_s=20, burst=50)


@given(st.integers(0, 2**32))
def test_no_pattern_of_sending_and_opening_again_gets_more_than_burst_and_rate(seed: int) -> None:
    rng, desk = random.Random(seed), Desk(limits=LIMITS)
    greedy, reader = desk.member(), desk.member()
    served, tried, began_s = 0, 0, desk.now.mono_s
    for _ in range(30):
        match rng.randrange(3):
            case 0:
                desk.after(rng.uniform(0, 3))
            case 1:
                greedy.say(greedy.opening(slice_=rng.choice(list(Slice))))
            case _:
                count = rng.randrange(1, 120)
                greedy.say(*(envelope(tried + n) for n in range(count)))
                tried += count
        served += len(reader.envelopes())
        assert served <= LIMITS.burst + LIMITS.rate_per_s * (desk.now.mono_s - began_s) + 1


def test_who_floods_is_told_to_wait_and_the_others_are_served_as_before() -> None:
    desk = Desk(limits=LIMITS)
    greedy, honest, reader = desk.member(), desk.member(), desk.member()
    served = 0
    for step in range(50):
        greedy.say(*(envelope(10_000 + 100 * step + n) for n in range(100)))
        reader.heard()
        honest.say(envelope(step))
        served += len(reader.envelopes())
        desk.after(0.1)
    assert served == 50
    refused = sum(len(frame.ids) for frame in greedy.control() if isinstance(frame, Nack))
    assert refused >= 5_000 - LIMITS.burst - 5 * LIMITS.rate_per_s - 1
    assert not [frame for frame in honest.control() if isinstance(frame, Nack)]
