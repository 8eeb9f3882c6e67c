"""The error tree: one root, a stable code each, an exit status each."""

from __future__ import annotations

import pytest

from railgun_core.base.errors import EnvironmentFailure, MalformedFrame, PeerError, RailGunError, Refused, UsageError


@pytest.mark.parametrize(
    ("error", "code", "exit_status"),
    [
        (MalformedFrame, "malformed", 1),
        (Refused, "refused", 1),
        (UsageError, "usage", 2),
        (EnvironmentFailure, "environment", 3),
    ],
)
def test_each_error_has_its_code_and_exit_status(error: type[RailGunError], code: str, exit_status: int) -> None:
    raised = error("what a person reads")
    assert (raised.code, raised.exit_status, raised.detail) == (code, exit_status, "what a person reads")
    assert str(raised) == "what a person reads"


def test_an_error_may_carry_a_finer_code_without_changing_its_class() -> None:
    assert UsageError("no", code="bad-invite").code == "bad-invite"
    assert UsageError("no").code == "usage"


def test_what_others_do_wrong_is_one_family() -> None:
    assert issubclass(MalformedFrame, PeerError)
    assert issubclass(Refused, PeerError)
    assert not issubclass(UsageError, PeerError)
