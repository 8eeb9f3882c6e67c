"""What an engine's process does once, so that it stays small for the weeks it runs.

Only the process that is nothing but an engine may do this: the settings below hold for the whole process.
Measured with glibc 2.36 and Python 3.11 by `railgun bench idle`.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

_M_ARENA_MAX = -8  # glibc's malloc.h
_ARENAS = 2


def before_start() -> None:
    """Call before the first thread is started.

    Rust libraries look up a backtrace for every error, a refused dial too, when the environment asks for one: that
    reads all debug symbols of all libraries and keeps them, 60 MB. What iroh's errors say is not needed that far.

    glibc gives each thread a heap of its own and so keeps what each of them freed; Python's threads take turns anyway.
    """
    os.environ["RUST_BACKTRACE"] = os.environ["RUST_LIB_BACKTRACE"] = "0"
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def after_start() -> None:
    """Call once everything is open: what start-up made stays for good, what it left over goes.

    The collector need not walk the first again and again, and the system gets the second back.
    """
    gc.collect()
    gc.freeze()
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is one that has these calls (not macOS, Windows, or musl)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None
