"""The hello: bound to one channel, the right key, and nothing about the client before the server is known."""

from __future__ import annotations

import pytest

from railgun_core.base.keys import Identity
from railgun_core.transport.hello import KEY_BYTES, NONCE_BYTES, TlsHello, prove, proved_key, tls_binding
from railgun_core.transport.link import DialFailure

CLIENT, SERVER, MALLORY = (Identity(bytes((n,)) * 32) for n in (1, 2, 3))


def hello(identity: Identity, finished: bytes = b"f" * 48, nonce: int = 7) -> TlsHello:
    return TlsHello(identity, bytes((nonce,)) * NONCE_BYTES, lambda c, s: tls_binding(b"certificate", finished, c, s))


def test_both_sides_prove_their_keys_and_share_the_binding() -> None:
    client, server = hello(CLIENT), hello(SERVER, nonce=8)
    answer = server.server_answers(client.client_opens())
    proof = client.client_proves(answer, SERVER.public_key)
    assert server.server_checks(proof) == CLIENT.public_key
    assert client.binding == server.binding


def test_another_server_key_is_the_wrong_peer() -> None:
    client, mallory = hello(CLIENT), hello(MALLORY, nonce=8)
    with pytest.raises(DialFailure) as failure:
        client.client_proves(mallory.server_answers(client.client_opens()), SERVER.public_key)
    assert failure.value.code == "wrong-peer"


def test_an_answer_relayed_from_another_channel_is_refused() -> None:
    """Somebody in the middle ends TLS twice: the two channels have different Finished values."""
    client, server = hello(CLIENT, b"a" * 48), hello(SERVER, b"b" * 48, nonce=8)
    with pytest.raises(DialFailure):
        client.client_proves(server.server_answers(client.client_opens()), SERVER.public_key)


def test_a_proof_of_one_side_does_not_serve_for_the_other() -> None:
    proof = prove(CLIENT, "tls-client", b"x" * 32)
    assert proved_key(proof, "tls-server", b"x" * 32) is None


def test_a_changed_proof_proves_nothing() -> None:
    proof = prove(CLIENT, "tls-client", b"x" * 32)
    for at in (0, KEY_BYTES, len(proof) - 1):
        changed = proof[:at] + bytes((proof[at] ^ 1,)) + proof[at + 1 :]
        assert proved_key(changed, "tls-client", b"x" * 32) is None
