"""The sockets of one engine: DHT and TLS share a port number (UDP and TCP), QUIC has its own UDP port.

A port that was free at the first start is remembered, so that a router's rule stays right. A port that a person
named and that is taken is an error; a remembered one that is taken gives way to a free one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.keys import Identity
from railgun_core.changes import SettingPut
from railgun_core.config import Config
from railgun_core.discovery.dht import Dht
from railgun_core.transport.link import Acceptor, Limits, Transport
from railgun_core.transport.quic import QuicTransport
from railgun_core.transport.tls import TlsTransport
from railgun_core.wire.records import Address, AddressKind

TRIES = 8  # to find a number that is free for both UDP and TCP


@dataclass(slots=True)
class Ports:
    """What is bound."""

    dht: int
    quic: int | None
    tls: int | None
    dial_order: list[tuple[AddressKind, Transport]] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)  # shared, so that the bound on queues is one for all links

    @property
    def tls_transport(self) -> TlsTransport | None:
        """What opens links through guards; None where TLS is switched off."""
        found = (transport for _, transport in self.dial_order if isinstance(transport, TlsTransport))
        return next(found, None)

    def addresses(self, host: str) -> tuple[Address, ...]:
        """What goes into the record: the transports in order of preference, then the DHT."""
        ports = {AddressKind.QUIC: self.quic, AddressKind.TLS: self.tls}
        found = [Address(kind, host, port) for kind, _ in self.dial_order if (port := ports[kind]) is not None]
        return (*found, Address(AddressKind.DHT, host, self.dht))

    def remembered(self) -> tuple[SettingPut, ...]:
        """The numbers, for the next start."""
        rows = [SettingPut("port", str(self.dht))]
        if self.quic is not None:
            rows.append(SettingPut("quic_port", str(self.quic)))
        return tuple(rows)

    async def close(self) -> None:
        """Close the transports; the DHT is closed by its owner."""
        for _, transport in self.dial_order:
            await transport.close()


async def bind_ports(
    config: Config, identity: Identity, *, acceptor: Acceptor, dht: Dht, settings: Mapping[str, str]
) -> Ports:
    """Bind everything. EnvironmentFailure port-taken, port-forbidden or an address that this machine has not."""
    host, named = config.listen.host, config.listen.port
    remembered = _number(settings.get("port"))
    candidates = [named] if named else [*([remembered] if remembered else []), *[0] * TRIES]
    for index, port in enumerate(candidates):
        last = index == len(candidates) - 1
        try:
            ports = await _bind_pair(config, identity, host, port, acceptor, dht)
        except EnvironmentFailure as failure:
            if last:
                raise _explained(failure, named) from None
            continue
        if "quic" in config.transports:
            await _bind_quic(ports, identity, host, acceptor, _number(settings.get("quic_port")) or 0)
        order = {"quic": AddressKind.QUIC, "tls": AddressKind.TLS}
        ranks = [order[name] for name in config.transports]
        ports.dial_order.sort(key=lambda pair: ranks.index(pair[0]))
        return ports
    raise AssertionError("the last candidate either binds or raises")


async def _bind_pair(config: Config, identity: Identity, host: str, port: int, acceptor: Acceptor, dht: Dht) -> Ports:
    async with contextlib.AsyncExitStack() as undo:
        ports = Ports(dht=0, quic=None, tls=None)
        if "tls" in config.transports:
            tls = TlsTransport(identity, limits=ports.limits)
            undo.push_async_callback(tls.close)
            try:
                ports.tls = port = (await tls.listen(host, port, acceptor)).port
            except EnvironmentFailure as failure:
                raise EnvironmentFailure("TCP", code=failure.code) from None
            ports.dial_order.append((AddressKind.TLS, tls))
        try:
            ports.dht = await dht.start(host, port)
        except EnvironmentFailure as failure:
            raise EnvironmentFailure("UDP", code=failure.code) from None
        undo.pop_all()
        return ports


def _explained(failure: EnvironmentFailure, named: int) -> EnvironmentFailure:
    """One sentence for the person who wrote `--listen`. `failure.detail` is the protocol that could not be bound."""
    protocol, code = failure.detail, failure.code
    match code:
        case "port-taken" if named:
            sentence = f"{protocol} port {named} is taken by another program: choose another port with --listen."
        case "port-taken":
            sentence = "No port is free for both TCP and UDP."
        case "port-forbidden":
            sentence = f"The system does not let this program use {protocol} port {named}: choose one above 1023."
        case _:
            sentence = "This machine has no such address to listen at: choose another one with --listen."
    return EnvironmentFailure(sentence, code=code)


async def _bind_quic(ports: Ports, identity: Identity, host: str, acceptor: Acceptor, wanted: int) -> None:
    for port in dict.fromkeys((wanted, 0)):
        quic = QuicTransport(identity, limits=ports.limits)
        try:
            ports.quic = (await quic.listen(host, port, acceptor)).port
        except EnvironmentFailure:
            await quic.close()
            if port == 0:
                raise
            continue
        ports.dial_order.append((AddressKind.QUIC, quic))
        return


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and 0 < int(text) < 65_536 else None
