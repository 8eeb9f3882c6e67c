"""Parts to messages, without a store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import MemberId
from railgun_core.changes import Delivery, OutboxRange
from railgun_core.store.conversation import Place, compressed, whole_messages

ANN = MemberId(b"ann-----")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(0, 8))
def test_in_any_order_of_arrival_each_message_appears_once_where_it_became_whole(
    sizes: list[int], shuffle: object, limit: int
) -> None:
    todo: list[tuple[int, int, int]] = []
    first = 1
    for size in sizes:
        todo += [(first + part, part, size) for part in range(size)]
        first += size
    shuffle.shuffle(todo)  # type: ignore[attr-defined]
    places = [Place(position, ANN, *one) for position, one in enumerate(todo, start=1)]
    by_seq = {place.seq: place for place in places}
    asked: list[tuple[int, int]] = []

    def siblings(_sender: MemberId, low: int, high: int) -> list[Place]:
        asked.append((low, high))
        return [by_seq[seq] for seq in range(low, high + 1) if seq in by_seq]

    found = whole_messages(places, siblings, limit=99)
    assert sorted(w.first_seq for w in found) == [sum(sizes[:n]) + 1 for n in range(len(sizes))]
    assert [w.position for w in found] == sorted(w.position for w in found)
    for whole in found:
        assert whole.position == max(by_seq[seq].position for seq in range(whole.first_seq, whole.last_seq + 1))
    assert len(asked) == len(set(asked))
    assert whole_messages(places, siblings, limit=limit) == found[:limit]
    assert whole_messages(reversed(places), siblings, limit=99) == found[::-1]


def test_ranges_break_at_gaps_states_and_epochs() -> None:
    queued, stored = Delivery.QUEUED, Delivery.STORED
    entries = [(1, queued, 0), (2, queued, 0), (4, queued, 0), (5, stored, 0), (6, stored, 1)]
    assert compressed(entries) == (
        OutboxRange(1, 2, queued, 0),
        OutboxRange(4, 4, queued, 0),
        OutboxRange(5, 5, stored, 0),
        OutboxRange(6, 6, stored, 1),
    )
