"""Many nodes in one process under one virtual clock: same seed, same trace.

The nodes are the very ones the engine runs; only sockets, disk and time are models: `network.py` has latency, loss,
partitions, `world.py` the clock and the nodes, `workload.py` the rooms and the checks, `report.py` the command.
Chaos is the same world with everything that can go wrong: `faults.py` plans it, `strikes.py` carries it out,
`checkers.py` says what must hold all the same, `chaos.py` plays one seed.
"""

from __future__ import annotations

from railgun_core.sim.mixflow import flow
from railgun_core.sim.report import run

__all__ = ["flow", "run"]
