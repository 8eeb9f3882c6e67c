"""From whatever ends a verb to an exit status and one sentence on stderr. The only place that catches everything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from railgun_core.base.errors import RailGunError, sentence_of

BROKEN_OFF = 130


def run(arguments: list[str]) -> int:
    """Run the command line; see the package for what the statuses mean."""
    from railgun_core.cli.root import BrokenOff, ReaderGone, railgun

    wants_json = "--json" in arguments
    try:
        outcome = railgun.main(args=arguments, prog_name="railgun", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, BrokenOff, click.Abort):
        return BROKEN_OFF
    except (BrokenPipeError, ReaderGone):
        return _nobody_reads()
    except click.ClickException as error:
        return _say("usage", _usage_sentence(error), 2, wants_json=wants_json)
    except RailGunError as error:
        return _say(error.code, sentence_of(error), error.exit_status, wants_json=wants_json)
    except OSError as error:
        reason = f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}."
        return _say("environment", reason, 3, wants_json=wants_json)
    except Exception as error:
        return _say("internal", f"A mistake in this program: {_place(error)}.", 1, wants_json=wants_json)
    return outcome if isinstance(outcome, int) else 0


def _say(code: str, sentence: str, status: int, *, wants_json: bool) -> int:
    try:
        if wants_json:
            print_json({"error": {"code": code, "sentence": sentence}})
        click.echo(f"railgun: {sentence}", err=True)
    except BrokenPipeError:
        _nobody_reads()
    return status


def print_json(value: object) -> None:
    """The one JSON object of a verb, on one line."""
    out = sys.stdout.buffer
    out.write(msgspec.json.encode(value) + b"\n")
    out.flush()


def _usage_sentence(error: click.ClickException) -> str:
    bare = isinstance(error, click.exceptions.NoArgsIsHelpError)  # its message is the whole help
    sentence = "A verb is missing." if bare else " ".join(error.format_message().split())
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f" See: {error.ctx.command_path} --help"
    return (sentence if sentence.endswith((".", "?")) else sentence + ".") + hint


def _nobody_reads() -> int:
    """`railgun … | head`: the reader had enough, which is no error. Keep Python's last flush from complaining."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(nowhere)
    return 0


def _place(error: Exception) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where
