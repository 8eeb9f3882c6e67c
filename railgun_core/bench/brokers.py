"""Brokers to compare with, as the system has them installed: started on loopback with TLS 1.3, ended by their pid.

mosquitto speaks MQTT (QoS 0 here), nats-server core NATS. Both get a throw-away certificate; limits that would drop
messages are off, and the load keeps a window anyway. Nothing is downloaded: a broker that is not there is not measured.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.bench.relay_rivals import Access

HOST = "127.0.0.1"
SYSTEM_FOLDERS = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin"))
START_WITHIN_S = 10.0
END_WITHIN_S = 5.0
TRIES = 3  # the port was free a moment ago, but nobody kept it


@dataclass(frozen=True, slots=True)
class Broker:
    """One kind of broker: its program, and the configuration it is started with."""

    name: str
    program: str
    config: Callable[[int, Path], str]


@dataclass(frozen=True, slots=True)
class Served:
    """A broker that runs."""

    pid: int
    access: Access


def installed(broker: Broker) -> str | None:
    """Where the program is, or None."""
    return shutil.which(broker.program) or shutil.which(broker.program, path=SYSTEM_FOLDERS)


@contextlib.contextmanager
def running(broker: Broker) -> Iterator[Served]:
    """The broker, until the block ends. EnvironmentFailure(bench-failed) when it does not start."""
    program = installed(broker)
    if program is None:
        raise EnvironmentFailure(f"{broker.name} is not installed.", code="not-installed")
    with tempfile.TemporaryDirectory(prefix="railgun-bench-") as name:
        folder = Path(name)
        _write_certificate(folder)
        process, port = _started(broker, program, folder)
        try:
            yield Served(process.pid, Access(broker.name, HOST, port, str(folder / "certificate.pem")))
        finally:
            _end(process)


def _started(broker: Broker, program: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    quiet = subprocess.DEVNULL
    for _ in range(TRIES):
        port = _free_port()
        path = folder / "broker.conf"
        path.write_text(broker.config(port, folder), encoding="utf-8")
        process = subprocess.Popen([program, "-c", str(path)], stdin=quiet, stdout=quiet, stderr=quiet)
        if _answers(process, port):
            return process, port
        _end(process)
    raise EnvironmentFailure(f"{broker.name} does not start.", code="bench-failed")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it listens within START_WITHIN_S."""
    until_s = time.monotonic() + START_WITHIN_S
    while process.poll() is None and time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _write_certificate(folder: Path) -> None:
    """`key.pem` and a self-signed `certificate.pem` for the loopback address."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle = os.open(folder / "key.pem", os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(private)


def _mosquitto(port: int, folder: Path) -> str:
    lines = [
        f"listener {port} {HOST}",
        f"certfile {folder / 'certificate.pem'}",
        f"keyfile {folder / 'key.pem'}",
        "tls_version tlsv1.3",
        "allow_anonymous true",
        "persistence false",
        "max_queued_messages 0",
        "set_tcp_nodelay true",
        "log_type none",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        lines.append("user root")  # else it changes user and cannot read the key
    return "\n".join(lines) + "\n"


def _nats(port: int, folder: Path) -> str:
    return (
        f'listen: "{HOST}:{port}"\n'
        f'tls {{ cert_file: "{folder / "certificate.pem"}", key_file: "{folder / "key.pem"}" }}\n'
        "max_payload: 1MB\nmax_pending: 256MB\n"
    )


BROKERS = {
    "mosquitto": Broker("mosquitto", "mosquitto", _mosquitto),
    "nats": Broker("nats", "nats-server", _nats),
}
