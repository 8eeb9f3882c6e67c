"""The doctor: one sentence for each thing, true now."""

from __future__ import annotations

from pathlib import Path

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.local_api import messages as m
from tests.unit.local_api.alone import alone


async def test_a_healthy_engine_without_others_is_told_so(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, verbs):
        checks = {check.name: check for check in (await verbs.doctor(m.Empty())).checks}
    assert list(checks) == ["database", "peers", "relays", "clock-of-peers", "links", "quic"]
    assert all(check.good for check in checks.values())
    assert "young network" in checks["relays"].sentence


async def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, verbs):
        engine._saver.failure = EnvironmentFailure("The disk is full.", code="disk-full")
        checks = {check.name: check for check in (await verbs.doctor(m.Empty())).checks}
        engine._saver.failure = None
    assert not checks["database"].good
    assert checks["database"].sentence == "The disk is full."
    assert checks["links"].good


async def test_the_doctor_never_raises_although_the_store_is_gone(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, verbs):
        await engine.store.close()
        checks = {check.name: check for check in (await verbs.doctor(m.Empty())).checks}
    assert not checks["database"].good
