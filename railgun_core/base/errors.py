"""The one error tree.

RailGunError
  PeerError            somebody else erred: drop it, charge them, go on
    MalformedFrame     bytes that are no valid frame, envelope, record or invite
    Refused            a peer said no, with its code
  UsageError           the caller erred: a wrong name, a wrong value
  EnvironmentFailure   disk, port, network or clock: the person has to know

Each class carries a stable `code`; sentences for people are made at the edges (CLI, app).
No message ever holds a payload, a key, an address or a full id.
"""

from __future__ import annotations


class RailGunError(Exception):
    """Base of every error this project raises on purpose. `code` is stable, `detail` is for a person."""

    code = "error"
    exit_status = 1

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


def sentence_of(error: RailGunError) -> str:
    """What a person reads: a capital first, a full stop last, whatever the place that raised it wrote."""
    text = (getattr(error, "sentence", "") or error.detail or error.code).strip()
    head = text.split(" ", 1)[0]
    if head.replace("'", "").isalpha():  # not a file, an option or a number
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


class PeerError(RailGunError):
    """The other side did something wrong."""

    code = "peer-error"


class MalformedFrame(PeerError):
    """Bytes that do not decode. The only error a decoder raises."""

    code = "malformed"


class Refused(PeerError):
    """A peer answered no; `code` is its reason."""

    code = "refused"


class UsageError(RailGunError):
    """The caller asked for something that does not exist or makes no sense."""

    code = "usage"
    exit_status = 2


class EnvironmentFailure(RailGunError):
    """The machine does not allow it: a port is taken, a disk is full, a database is damaged."""

    code = "environment"
    exit_status = 3
