"""The gate: bounds hold, nobody inside is put out, every place comes back."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from railgun_core.base.ids import PublicKey
from railgun_core.transport.gate import Gate, Ticket
from railgun_core.transport.link import Limits

LIMITS = Limits(half_open=6, per_host=5, per_key=2)
HOSTS = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"])
KEYS = st.sampled_from([PublicKey(bytes((n,)) * 32) for n in range(3)])


def test_a_host_gets_only_its_share_of_the_half_open_places() -> None:
    gate = Gate(Limits())
    taken = [gate.enter("192.0.2.1") for _ in range(20)]
    assert sum(ticket is not None for ticket in taken) == 8
    assert gate.enter("192.0.2.2") is not None


def test_a_full_gate_refuses_the_next_and_keeps_the_others() -> None:
    gate = Gate(Limits(half_open=4, per_host=100))
    tickets = [gate.enter(f"192.0.2.{n}") for n in range(4)]
    assert gate.enter("192.0.2.9") is None
    assert gate.half_open == 4
    assert tickets[0] is not None
    assert tickets[0].admit(PublicKey(b"k" * 32))
    assert gate.enter("192.0.2.9") is not None


def test_a_ticket_admits_once_and_is_given_back_once() -> None:
    gate = Gate(Limits())
    ticket = gate.enter("192.0.2.1")
    assert ticket is not None
    assert ticket.admit(PublicKey(b"k" * 32))
    assert not ticket.admit(PublicKey(b"k" * 32))
    ticket.give_back()
    ticket.give_back()
    assert (gate.inside, gate.half_open) == (0, 0)


class GateMachine(RuleBasedStateMachine):
    """Any order of coming, proving and leaving."""

    half = Bundle("half")
    full = Bundle("full")

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(LIMITS)
        self.hosts: list[str] = []
        self.keys: list[PublicKey] = []

    @rule(target=half, host=HOSTS)
    def enter(self, host: str) -> tuple[Ticket | None, str]:
        ticket = self.gate.enter(host)
        if ticket is not None:
            self.hosts.append(host)
        else:
            assert self.hosts.count(host) >= min(4, LIMITS.per_host) or self.gate.half_open == LIMITS.half_open
        return ticket, host

    @rule(target=full, come=consumes(half), key=KEYS)
    def prove(self, come: tuple[Ticket | None, str], key: PublicKey) -> tuple[Ticket | None, str, PublicKey | None]:
        ticket, host = come
        if ticket is None:
            return None, host, None
        if ticket.admit(key):
            self.keys.append(key)
            return ticket, host, key
        assert self.keys.count(key) == LIMITS.per_key
        ticket.give_back()
        self.hosts.remove(host)
        return None, host, None

    @rule(link=consumes(full))
    def leave(self, link: tuple[Ticket | None, str, PublicKey | None]) -> None:
        ticket, host, key = link
        if ticket is not None and key is not None:
            ticket.give_back()
            self.hosts.remove(host)
            self.keys.remove(key)

    @invariant()
    def the_bounds_hold(self) -> None:
        assert self.gate.inside == len(self.hosts)
        assert self.gate.half_open == len(self.hosts) - len(self.keys) <= LIMITS.half_open
        assert all(self.hosts.count(host) <= LIMITS.per_host for host in self.hosts)
        assert all(self.keys.count(key) <= LIMITS.per_key for key in self.keys)


TestGateMachine = GateMachine.TestCase
TestGateMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
