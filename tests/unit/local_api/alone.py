"""One engine on one loopback address, with nobody else in its network: it is its own committee."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from railgun_core.config import Config, HostPort
from railgun_core.engine.engine import Engine
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import start_logs


def config_in(folder: Path) -> Config:
    """Small work, no other peers, TLS only."""
    return Config(
        data_dir=folder,
        listen=HostPort("127.0.0.1", 0),
        roles=("relay",),
        transports=("tls",),
        committee_size=3,
        puzzle_bits=2,
        lan=False,
        group_by="port",
    )


@contextlib.asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[tuple[Engine, Verbs]]:
    """A running engine and its verbs."""
    log = start_logs(folder / "log", level="info")
    engine = Engine(config_in(folder / "data"))
    try:
        await engine.start()
        yield engine, Verbs(engine, log)
    finally:
        await engine.stop()
        log.close()
        structlog.reset_defaults()
