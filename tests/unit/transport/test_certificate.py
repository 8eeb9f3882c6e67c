"""The throw-away certificate: no name, no date of its own, no file left."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import pytest
from cryptography import x509

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.transport.certificate import client_context, server_context


def test_nothing_in_it_tells_who_or_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    context, der = server_context()
    certificate = x509.load_der_x509_certificate(der)
    assert not list(certificate.subject)
    assert not list(certificate.extensions)
    assert certificate.not_valid_before_utc == x509.load_der_x509_certificate(server_context()[1]).not_valid_before_utc
    assert certificate.serial_number != x509.load_der_x509_certificate(server_context()[1]).serial_number
    assert context.minimum_version == client_context().minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.num_tickets == 0
    assert not list(tmp_path.iterdir())


def test_without_a_place_for_the_key_file_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(EnvironmentFailure) as failure:
        server_context()
    assert failure.value.code == "temporary-file"
