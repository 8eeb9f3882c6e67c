"""What `doctor` asks a running engine: each answer is measured now, not remembered."""

from __future__ import annotations

import time

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.skew import ClockState
from railgun_core.config import Config
from railgun_core.engine.engine import Engine
from railgun_core.local_api.messages import Check
from railgun_core.transport.iroh_glue import IS_FAST


async def checks(engine: Engine) -> tuple[Check, ...]:
    """One Check for each thing; never raises."""
    found = (await _disk(engine), _contacts(engine), _relays(engine), _clock(engine), _sockets(engine), _quic(engine))
    return (*found, *await central_checks(engine.config, unused=engine.modes.status().why == "no-room"))


async def _disk(engine: Engine) -> Check:
    began_s = time.perf_counter()
    try:
        await engine.store.commit(())
    except EnvironmentFailure as failure:
        return Check("database", False, failure.detail)
    if engine.save_failure is not None:
        return Check("database", False, engine.save_failure.detail)
    repaired = f" {engine.store.repaired}" if engine.store.repaired else ""
    return Check(
        "database", True, f"The database answers in {(time.perf_counter() - began_s) * 1000:.1f} ms.{repaired}"
    )


def _contacts(engine: Engine) -> Check:
    count = engine.dht.contacts
    if count:
        return Check("peers", True, "1 peer answers." if count == 1 else f"{count} peers answer.")
    if not engine.config.entries and not engine.config.lan:
        return Check("peers", True, "No peer is configured, so this one waits for others to come.")
    return Check("peers", False, "No peer answers; check the network and the bootstrap addresses.")


def _relays(engine: Engine) -> Check:
    groups, size = engine.node.view.groups, engine.node.config.committee_size
    relays = len(engine.node.view)
    if not relays:
        return Check("relays", False, "No relay is known, so rooms cannot send; this one offers none either.")
    young = "" if groups >= 3 * size else " A young network: its protection is weak."
    known = "1 relay is known" if relays == 1 else f"{relays} relays in {groups} address groups are known"
    return Check("relays", True, f"{known}.{young}")


def _clock(engine: Engine) -> Check:
    found = engine.clock.judgement
    if found.offset_s is None:
        return Check("clock-of-peers", True, "Fewer than eight peers have told the time, so it was not compared.")
    away = f"The clock is {abs(found.offset_s):.0f} s {'behind' if found.offset_s > 0 else 'ahead of'} the peers'"
    match found.state:
        case ClockState.WRONG:
            return Check("clock-of-peers", False, f"{away}: this peer relays for nobody until it is set right.")
        case ClockState.CORRECTED:
            return Check("clock-of-peers", True, f"{away}, and is corrected by that much.")
        case _:
            return Check("clock-of-peers", True, f"The clock agrees with those of {found.peers} peers.")


def _sockets(engine: Engine) -> Check:
    open_links = sum(engine.links.by_transport().values())
    names = " and ".join(transport.name for _, transport in engine.ports.dial_order)
    return Check("links", True, f"Listening by {names}; {open_links} links are open.")


def _quic(engine: Engine) -> Check:
    if engine.ports.quic is None:
        return Check("quic", True, "QUIC is switched off.")
    return Check("quic", True, "QUIC writes quickly." if IS_FAST else "QUIC works, but slowly: another iroh was found.")


CENTRAL_SAYS = {
    "unreachable": "does not answer; check its address and whether it runs",
    "refused": "refuses this peer: it wants a login, or a certificate that is not trusted here",
    "no-jetstream": "runs without JetStream, so it keeps nothing; start it with -js",
    "no-quorum": "has too few servers of its cluster to keep anything",
    "replicas": "cannot make as many copies as central_replicas asks for",
    "other-stream": "has a stream of this name that is for something else",
    "full": "has no room left",
}


async def central_checks(config: Config, *, unused: bool = False) -> tuple[Check, ...]:
    """In mode hybrid: whether each configured server answers now. Some seconds at most.

    A server that no room uses is not asked: it would learn this device's address for nothing.
    """
    if config.mode != "hybrid":
        return ()
    if unused:
        return (Check("central", True, "No room here uses the central server, so it was not asked."),)
    from railgun_core.engine.central import ask_servers  # the NATS library: only who uses a server pays for it

    checks = []
    for answer in await ask_servers(config):
        says = f"answers in {answer.ms:.0f} ms" if not answer.code else CENTRAL_SAYS.get(answer.code, answer.code)
        checks.append(Check("central", not answer.code, f"The central server {answer.server} {says}."))
    return tuple(checks)
