"""The repair of the library's glue proves itself or stays away."""

from __future__ import annotations

import pytest

from railgun_core.transport import iroh_glue


def test_the_pinned_library_runs_with_the_fast_copy() -> None:
    assert iroh_glue.IS_FAST
    assert iroh_glue.install()


def test_a_copy_that_damages_bytes_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = iroh_glue.iroh_ffi._UniffiRustBufferBuilder
    shipped = builder.write

    def broken(self: object, value: bytes) -> None:
        shipped(self, value[:-1] + b"?" if value else value)

    monkeypatch.setattr(iroh_glue, "_write", broken)
    assert not iroh_glue.install()
    assert builder.write is shipped


def test_a_library_without_that_class_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(iroh_glue.iroh_ffi, "_UniffiRustBufferBuilder")
    assert not iroh_glue.install()


def test_both_copies_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert iroh_glue._copies_intact(iroh_glue._write)
