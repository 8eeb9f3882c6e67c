"""Members who are away: mail waits for them, whoever else has gone meanwhile."""

from __future__ import annotations

from railgun_core.changes import Delivery
from tests.unit.rooms.village import Village

DAY_S = 86_400


def settled() -> tuple[Village, list[str], list[str]]:
    """Two members who know each other, with their relays and mailboxes."""
    village = Village()
    relays, boxes = [h.name for h in village.named("relay")], [h.name for h in village.named("box")]
    village.start(*relays, *boxes, "member0", "member1")
    village.enter("member0", "member1")
    return village, relays, boxes


def test_when_the_whole_committee_is_gone_messages_are_kept_in_mailboxes_within_eight_seconds() -> None:
    village, relays, _ = settled()
    village.say("member0", b"before")
    village.run(3.0)
    assert village.read("member1") == [b"before"]
    village.stop(*relays)
    village.say("member0", b"during")
    took_s = village.run_until(lambda: village.reached("member0", Delivery.STORED) == 2, within_s=8.0)
    assert took_s < 8.0
    village.run_until(lambda: village.read("member1") == [b"before", b"during"], within_s=8.0)
    village.run_until(lambda: village.reached("member0", Delivery.DELIVERED) == 2, within_s=60.0)


def test_a_member_who_was_away_for_three_days_gets_everything_once_and_in_order_from_mailboxes_alone() -> None:
    village, relays, boxes = settled()
    village.say("member0", b"hello")
    village.run(5.0)
    village.stop("member1")
    sent = [b"hello"]
    for day in range(3):
        for n in range(5):
            sent.append(b"day %d, message %d" % (day, n))
            village.say("member0", sent[-1])
            village.run(1.0)
        village.run(20.0)
        assert village.houses["member0"].up.rooms.rooms[village.room].mail.kept == 5 * (day + 1)
        village.stop("member0", *relays, *boxes)
        village.skip(DAY_S)
        village.start(*relays, *boxes, *(["member0"] if day < 2 else []))
        village.run(3.0)
    village.start("member1")
    village.run_until(lambda: village.read("member1") == sent, within_s=30.0)
    village.run(10.0)
    assert village.read("member1") == sent
