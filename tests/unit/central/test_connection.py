"""What the library's and the server's failures mean to the engine."""

from __future__ import annotations

import ssl

import pytest
from nats import errors
from nats.js import errors as js_errors

from railgun_core.central.connection import CentralFailure, code_of, open_connection
from railgun_core.central.port import Why
from railgun_core.config import HostPort
from tests.contract.nats_world import HOST, free_ports


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(), Why.UNREACHABLE),
        (errors.NoServersError(), Why.UNREACHABLE),
        (errors.UnexpectedEOF(), Why.UNREACHABLE),
        (errors.AuthorizationError(), Why.REFUSED),
        (errors.Error("nats: 'Authorization Violation'"), Why.REFUSED),
        (errors.Error("nats: 'maximum connections exceeded'"), Why.REFUSED),
        (ssl.SSLCertVerificationError("self-signed"), Why.REFUSED),
        (errors.MaxPayloadError(), Why.REFUSED),
        (errors.TimeoutError(), Why.TIMEOUT),
        (TimeoutError(), Why.TIMEOUT),
        (errors.NoRespondersError(), Why.NO_JETSTREAM),
        (js_errors.NoStreamResponseError(), Why.NO_JETSTREAM),
        (js_errors.ServiceUnavailableError(code=503, err_code=10039), Why.NO_JETSTREAM),
        (js_errors.ServiceUnavailableError(code=503, err_code=10008), Why.NO_QUORUM),
        (js_errors.ServerError(code=500, err_code=10074), Why.REPLICAS),
        (js_errors.APIError(code=400, err_code=10077), Why.FULL),
        (js_errors.BadRequestError(code=400, err_code=10054), Why.REFUSED),
        (js_errors.APIError(), Why.REFUSED),
        (ValueError("anything"), Why.UNREACHABLE),
    ],
)
def test_every_failure_has_a_code(error: Exception, code: str) -> None:
    assert code_of(error) == code


def test_silence_of_the_api_means_that_nobody_leads() -> None:
    assert code_of(errors.TimeoutError(), api_call=True) == Why.NO_QUORUM


async def test_a_port_where_nobody_listens_is_unreachable_at_once() -> None:
    with pytest.raises(CentralFailure) as failure:
        await open_connection(HostPort(HOST, free_ports(1)[0]), replicas=1)
    assert failure.value.code == Why.UNREACHABLE
    assert HOST not in str(failure.value)
