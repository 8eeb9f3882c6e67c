"""A throw-away certificate, so that TLS has a key to encrypt with. It proves nobody's identity: `hello` does.

Fresh at each start and without a name, so two starts of a peer have nothing in common. `ssl` reads keys from files
only: the file is readable for this user alone and gone before the call returns.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.transport.hello import ALPN

VALID_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)  # the same for all: says nothing about the start
VALID_TO = datetime.datetime(2049, 12, 31, tzinfo=datetime.UTC)


def server_context() -> tuple[ssl.SSLContext, bytes]:
    """A TLS 1.3 context and its fresh certificate in DER. About 2 ms. EnvironmentFailure when no file can be written.

    `num_tickets` 0: no resumption, so every link has its own handshake, and so its own binding.
    """
    pem, der = _fresh_certificate()
    context = _plain_context(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    try:
        handle, path = tempfile.mkstemp(prefix="railgun-")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
            context.load_cert_chain(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
    except (OSError, ssl.SSLError):
        raise EnvironmentFailure("no temporary file for the TLS key", code="temporary-file") from None
    return context, der


def client_context() -> ssl.SSLContext:
    """A TLS 1.3 context that accepts any certificate: the hello proves the key."""
    context = _plain_context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _plain_context(protocol: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN])
    return context


def _fresh_certificate() -> tuple[bytes, bytes]:
    """Key and certificate in PEM, and the certificate in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([]))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    certificate = builder.not_valid_before(VALID_FROM).not_valid_after(VALID_TO).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = private + certificate.public_bytes(serialization.Encoding.PEM)
    return pem, certificate.public_bytes(serialization.Encoding.DER)
