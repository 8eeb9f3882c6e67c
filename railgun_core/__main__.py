"""`python -m railgun_core` is `railgun`."""

from __future__ import annotations

import sys

from railgun_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
