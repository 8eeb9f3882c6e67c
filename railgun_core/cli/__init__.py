"""The command line: `railgun <verb>`. A surface that scripts and other programs rely on.

Exit: 0 done, 1 the result is bad, 2 wrong usage, 3 environment, 130 broken off by the person. Every end but 0 and 130
has one clear sentence on stderr, and none has a traceback. With `--json` stdout holds exactly one JSON object; when the
verb failed it is {"error": {"code", "sentence"}}. Verbs are imported when they run, so `railgun status` starts fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit status. Raises nothing."""
    from railgun_core.cli.outcome import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
