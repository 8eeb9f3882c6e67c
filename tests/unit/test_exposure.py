"""The exposure ledger: what is said, and that nothing is said that did not happen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.changes import ExposurePut
from railgun_core.exposure import MAX_DISTINCT, ExposedTo, Figure, Ledger, by_role, words

SALT = b"salt" * 4
DAY = 20_000

SAID_WHEN_ALL_HAPPENED = {
    ExposedTo.BOOTSTRAP: (
        (
            "3 bootstrap nodes could see this device's address and peer id.",
            "They were asked for the relays near 3 places of the ring.",
        ),
        ("A message, a room or the name of a member: 3 bootstrap nodes got none.",),
    ),
    ExposedTo.DHT_CONTACT: (
        (
            "3 contacts could see this device's address and peer id.",
            "Those that were asked could see some of the 3 places of the ring that this device looked near, "
            "in 3 look-ups.",
        ),
        (
            "A message, a room or the name of a member: 3 contacts got none.",
            "What was sought: 3 places of the ring alone tell no room.",
        ),
    ),
    ExposedTo.RELAY_DIRECT: (
        (
            "3 relays could see this device's address, and when it was connected (3 links).",
            "This address attended 3 tags. A tag stands for one room during one epoch, or for its mail during one day.",
            "This address sent 3 envelopes: when, and of which size.",
            "This address was handed 3 envelopes: when, and of which size.",
        ),
        (
            "Which rooms: from 3 tags nobody gets the name of a room or of a member.",
            "What 6 envelopes held: only members have the keys.",
            "The peer id of this device: 3 links used throw-away keys instead.",
        ),
    ),
    ExposedTo.RELAY_GUARDED: (
        (
            "3 relays could see that somebody was connected through a guard, and when (3 links).",
            "Somebody behind a guard attended 3 tags. "
            "A tag stands for one room during one epoch, or for its mail during one day.",
            "Somebody behind a guard sent 3 envelopes on these links.",
            "Somebody behind a guard was handed 3 envelopes.",
        ),
        (
            "This device's address: 3 links went through a guard.",
            "Which rooms: from 3 tags nobody gets the name of a room or of a member.",
            "What 6 envelopes held: only members have the keys.",
        ),
    ),
    ExposedTo.GUARD: (
        (
            "3 guards could see this device's address, and when it was connected (3 links).",
            "They took 3 packets from it, all of one size.",
            "They exchanged 3 cells with it, all of that size.",
            "They were asked 3 times for a tunnel, and knew to which relay.",
        ),
        (
            "The peer id of this device: 3 links used throw-away keys instead.",
            "Which of 3 packets were messages: cover looks the same.",
            "What went through 3 tunnels: the relay has the key, not the guard.",
        ),
    ),
    ExposedTo.FELLOW_RELAY: (
        ("3 relays could see this relay's address and peer id, which its public record says too (3 links).",),
        ("The rooms of this device: 3 links carried its relay's work only.",),
    ),
    ExposedTo.MIX_NEIGHBOUR: (
        (
            "3 mixes could see this mix's address and peer id, which its public record says too (3 links).",
            "They took 3 packets from it, all of one size.",
        ),
        ("Where 3 packets began, and where they end.",),
    ),
    ExposedTo.CENTRAL: (
        (
            "The central server could see this device's address, and when it was connected (3 links).",
            "This address followed 3 tags there, and so they belong together. "
            "A tag stands for one room during one epoch, or for its mail during one day.",
            "This address left 3 envelopes there: when, and of which size.",
            "This address was handed 3 envelopes: when, and of which size.",
        ),
        (
            "Which rooms: from 3 tags nobody gets the name of a room or of a member.",
            "What 6 envelopes held: only members have the keys.",
        ),
    ),
}


@pytest.mark.parametrize("role", ExposedTo)
def test_each_role_has_its_sentences_with_their_numbers(role: ExposedTo) -> None:
    counts = {figure.value: 3 for figure in Figure} | {"runs": 1}
    assert words(role, counts) == SAID_WHEN_ALL_HAPPENED[role]


@given(st.sampled_from(ExposedTo), st.dictionaries(st.sampled_from(Figure), st.integers(0, 5_000)))
def test_nothing_is_said_that_did_not_happen(role: ExposedTo, found: dict[Figure, int]) -> None:
    counts = {figure.value: count for figure, count in found.items()}
    learned, not_learned = words(role, counts)
    happened = {count for count in counts.values() if count}
    envelopes = counts.get("published", 0) + counts.get("delivered", 0)
    for sentence in (*learned, *not_learned):
        numbers = {int(text.replace(",", "")) for text in re.findall(r"\d[\d,]*", sentence)}
        assert numbers & (happened | {envelopes})
        assert numbers <= happened | {envelopes, 0}
    if not happened:
        assert (learned, not_learned) == ((), ())


def test_one_of_a_thing_is_said_in_the_singular() -> None:
    learned, _ = words(ExposedTo.MIX_NEIGHBOUR, {"peers": 1, "links": 1, "packets": 1_234})
    assert learned[0].startswith("1 mix could")
    assert "(1 link)" in learned[0]
    assert "1,234 packets" in learned[1]


def test_after_a_restart_peers_and_tags_are_said_as_up_to() -> None:
    learned, _ = words(ExposedTo.RELAY_DIRECT, {"peers": 4, "links": 9, "tags": 2, "published": 7, "runs": 2})
    assert learned[0].startswith("Up to 4 relays could see")
    assert "attended up to 2 tags" in learned[1]
    assert "sent 7 envelopes" in learned[2]


def test_a_peer_counts_once_and_each_of_its_links() -> None:
    ledger = Ledger(day=DAY, salt=SALT)
    for peer in (b"a", b"b", b"a"):
        ledger.link_opened(ExposedTo.GUARD, peer)
    assert ledger.counts() == {"guard": {"peers": 2, "links": 3, "runs": 1}}


def test_nothing_that_is_saved_names_a_peer_or_a_tag() -> None:
    ledger = Ledger(day=DAY, salt=SALT)
    ledger.link_opened(ExposedTo.RELAY_DIRECT, b"peer")
    ledger.add_distinct(ExposedTo.RELAY_DIRECT, Figure.TAGS, b"tag")
    assert set(ledger.changed()) == {
        ExposurePut(DAY, "relay-direct", what, 1) for what in ("peers", "links", "tags", "runs")
    }
    assert b"peer" not in b"".join(b"".join(seen) for seen in ledger._distinct.values())


def test_only_what_changed_is_saved_again() -> None:
    ledger = Ledger(day=DAY, salt=SALT)
    ledger.link_opened(ExposedTo.GUARD, b"a")
    ledger.changed()
    assert ledger.changed() == ()
    ledger.add(ExposedTo.GUARD, Figure.PACKETS, 5)
    assert ledger.changed() == (ExposurePut(DAY, "guard", "packets", 5),)


def test_nothing_is_noted_for_nothing() -> None:
    ledger = Ledger(day=DAY, salt=SALT)
    ledger.add(ExposedTo.GUARD, Figure.PACKETS, 0)
    ledger.add(ExposedTo.GUARD, Figure.PACKETS, -3)
    assert (ledger.counts(), ledger.changed()) == ({}, ())


def test_a_later_run_goes_on_from_what_was_saved() -> None:
    first, second = (Ledger(day=DAY, salt=SALT) for _ in range(2))
    first.link_opened(ExposedTo.GUARD, b"a")
    first.add(ExposedTo.GUARD, Figure.PACKETS, 5)
    second.restore((*first.changed(), ExposurePut(DAY - 1, "guard", "packets", 100)))
    assert second.changed() == ()
    second.link_opened(ExposedTo.GUARD, b"a")
    assert second.counts() == {"guard": {"peers": 2, "links": 2, "packets": 5, "runs": 2}}


def test_a_new_day_begins_with_nothing_and_loses_nothing_of_the_old_one() -> None:
    ledger = Ledger(day=DAY, salt=SALT)
    ledger.link_opened(ExposedTo.GUARD, b"a")
    assert not ledger.roll(DAY)
    assert ledger.roll(DAY + 1)
    assert ledger.counts() == {}
    ledger.link_opened(ExposedTo.GUARD, b"a")
    days = [put.day for put in ledger.changed()]
    assert days == [DAY] * 3 + [DAY + 1] * 3
    assert ledger.changed() == ()


def test_what_is_told_apart_is_bounded() -> None:
    ledger = Ledger(day=DAY, salt=SALT)
    ledger._distinct["guard", "peers"] = {n.to_bytes(8, "big") for n in range(MAX_DISTINCT)}
    ledger.add_distinct(ExposedTo.GUARD, Figure.PEERS, b"one more")
    assert ledger.counts() == {}


def test_roles_of_another_version_are_left_out_of_the_page() -> None:
    puts = [ExposurePut(DAY, "mix-neighbour", "peers", 1), ExposurePut(DAY, "oracle", "peers", 1)]
    assert by_role([*puts, ExposurePut(DAY, "bootstrap", "peers", 2)]) == {
        "bootstrap": {"peers": 2},
        "mix-neighbour": {"peers": 1},
    }
