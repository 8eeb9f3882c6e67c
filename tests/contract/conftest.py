"""The store of the contract suites: the one with a disk, then the one without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from railgun_core.store.memory import MemoryStore
from railgun_core.store.port import Store
from railgun_core.store.sqlite import SqliteStore


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "railgun.db")
    yield made
    await made.close()
