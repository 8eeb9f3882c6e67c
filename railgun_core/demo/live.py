"""A table of the peers on the terminal, drawn anew once a second, until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys

from railgun_core.base.errors import RailGunError
from railgun_core.demo.peers import PeerProcess
from railgun_core.demo.traffic import Traffic
from railgun_core.status import DutyState

EVERY_S = 1.0
_HEAD = f"{'PEER':<6} {'STATE':<12} {'SEATS':>5} {'NEXT':>5} {'PEERS':>5} {'UP kbit/s':>10} {'DOWN':>8}"


async def show_live(peers: list[PeerProcess], traffic: Traffic) -> None:
    """Draw until cancelled."""
    clear = "\x1b[H\x1b[J" if sys.stdout.isatty() else ""
    while True:
        rows = [await _row(peer) for peer in peers]
        sums = (
            f"sent {traffic.sent}  delivered {traffic.delivered} of {traffic.expected}  "
            f"twice {traffic.duplicated}  out of order {traffic.out_of_order}"
        )
        print(clear + "\n".join((_HEAD, *rows, "", sums, "Ctrl-C ends the demo.")), flush=True)
        await asyncio.sleep(EVERY_S)


async def _row(peer: PeerProcess) -> str:
    if peer.process is None or peer.process.returncode is not None:
        return f"{peer.name:<6} killed"
    try:
        status = await peer.status()
    except RailGunError:
        return f"{peer.name:<6} not answering"
    serving = sum(d.state in (DutyState.SERVING, DutyState.OVERLAP) for d in status.duties)
    coming = sum(d.state is DutyState.PREPARING for d in status.duties)
    up, down = status.traffic.up_bps / 1000, status.traffic.down_bps / 1000
    return (
        f"{peer.name:<6} {status.state.value:<12} {serving:>5} {coming:>5} {status.peers:>5} {up:>10.1f} {down:>8.1f}"
    )
