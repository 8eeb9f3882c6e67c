"""Who is in a demo: roles, places, and that nobody who is to be killed is a member."""

from __future__ import annotations

from pathlib import Path

import pytest

from railgun_core.demo.options import DemoOptions
from railgun_core.demo.peers import PeerProcess
from railgun_core.demo.plan import Round, plan, roles_of_peers


def argument(peer: PeerProcess, flag: str) -> str:
    return peer.arguments[peer.arguments.index(flag) + 1]


def test_every_third_relay_keeps_mail_and_members_serve_nobody() -> None:
    roles = roles_of_peers(DemoOptions(peers=14, members=4, kills=1))
    assert roles[:4] == [("--roles", "none")] * 4
    assert [n for n, found in enumerate(roles[4:]) if found == ("--roles", "relay,mix,mailbox")] == [2, 5, 8]


@pytest.mark.parametrize("mailboxes", [0, 1, 4, 8])
def test_as_many_relays_keep_mail_as_were_asked_for(mailboxes: int) -> None:
    roles = roles_of_peers(DemoOptions(peers=8, mailboxes=mailboxes))
    assert sum(found == ("--roles", "relay,mix,mailbox") for found in roles) == mailboxes
    assert len(roles) == 8


def test_whoever_is_killed_is_no_member(tmp_path: Path) -> None:
    by_name = plan(DemoOptions(peers=8, kill=2), tmp_path)
    assert by_name.people == by_name.peers[:6]
    in_rounds = plan(DemoOptions(peers=10, members=3, kills=5), tmp_path)
    assert in_rounds.people == in_rounds.peers[:3]
    assert in_rounds.relays == in_rounds.peers[3:]
    secure = plan(DemoOptions(peers=10, members=3, kills=5, secure=True), tmp_path)
    assert secure.people == secure.devices
    assert secure.relays == secure.peers


def test_all_peers_enter_through_one_bootstrap_peer_and_have_folders_of_their_own(tmp_path: Path) -> None:
    network = plan(DemoOptions(peers=5), tmp_path)
    entry = argument(network.bootstrap, "--listen")
    assert {argument(peer, "--bootstrap") for peer in network.peers} == {entry}
    assert len({peer.data_dir for peer in (network.bootstrap, *network.peers)}) == 6
    assert network.central is None
    assert network.alive == []


def test_in_mode_hybrid_everybody_is_told_of_the_central_server(tmp_path: Path) -> None:
    network = plan(DemoOptions(peers=5, mode="hybrid"), tmp_path)
    assert network.central is not None
    assert network.central.process is None
    for peer in network.peers:
        assert argument(peer, "--mode") == "hybrid"
        assert argument(peer, "--central") == network.central.place


def test_a_committee_is_gone_when_all_its_seats_are() -> None:
    assert Round("a", ("p1", "p2", "p3"), 3, 0.0).whole
    assert not Round("a", ("p1", "p2"), 3, 0.0).whole
