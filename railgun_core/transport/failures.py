"""Errors of sockets and TLS, in the words of the contract."""

from __future__ import annotations

import errno
import ssl

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.transport.link import DialFailure


class NobodyListens(DialFailure):
    """The machine is there and says that nothing listens at this port: most likely the peer's process is gone."""


def listen_failure(error: OSError) -> EnvironmentFailure:
    """Why an address cannot be listened at: port-taken, port-forbidden or no-such-address."""
    if error.errno == errno.EADDRINUSE:
        return EnvironmentFailure("the port is taken", code="port-taken")
    if error.errno in (errno.EACCES, errno.EPERM):
        return EnvironmentFailure("the system does not allow this port", code="port-forbidden")
    return EnvironmentFailure("this machine has no such address", code="no-such-address")


def dial_failure(error: BaseException) -> DialFailure | None:
    """Why a dial over TCP failed; None when `error` is not about the peer (a cancellation, a fault of ours)."""
    if isinstance(error, DialFailure):
        return error
    if isinstance(error, TimeoutError):
        return DialFailure("no answer in time", code="timeout")
    if isinstance(error, ssl.SSLError):
        return DialFailure("no railgun peer answered", code="wrong-peer")
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return DialFailure("turned away", code="busy")  # a full gate hangs up before it says anything
    if isinstance(error, ConnectionRefusedError):
        return NobodyListens("nobody listens there")
    if isinstance(error, OSError):
        return DialFailure("nobody listens there")
    return None
