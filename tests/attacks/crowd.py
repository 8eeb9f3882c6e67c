"""Several engines with their local APIs in one process: the rest of a network, for tests that stop or move one engine.

    python -m tests.attacks.crowd FOLDER PORT HOST...

Each host gets a relay with its data in FOLDER/<number>; the first listens at PORT and is the others' way in. Prints
`ready` once all know each other, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from railgun_core.config import Config, HostPort
from railgun_core.demo.peers import many_addresses
from railgun_core.engine.engine import Engine
from railgun_core.local_api.server import ApiServer
from railgun_core.local_api.verbs import Verbs
from railgun_core.logs import start_logs

OPTIONS = ("--committee-size", "3", "--epoch-s", "600", "--puzzle-bits", "0", "--lan", "off", "--transport", "tls")


def group_by(hosts: list[str]) -> str:
    """Networks tell relays apart where each has its own; on one address ports have to."""
    return "network" if len({host.rpartition(".")[0] for host in hosts}) == len(hosts) and many_addresses() else "port"


async def crowd(folder: Path, port: int, hosts: list[str]) -> None:
    """Until standard input ends."""
    async with AsyncExitStack() as exits:
        log = start_logs(folder / "log", level="error")
        exits.callback(log.close)
        engines = []
        for number, host in enumerate(hosts):
            data_dir = folder / str(number)
            config = Config(
                data_dir=data_dir,
                listen=HostPort(host, 0 if number else port),
                bootstrap=(HostPort(hosts[0], port),) if number else (),
                roles=("relay",),
                epoch_s=600,
                committee_size=3,
                transports=("tls",),
                puzzle_bits=0,
                group_by=group_by(hosts),
                lan=False,
            )
            engine = Engine(config)
            exits.push_async_callback(engine.stop)
            await engine.start()
            server = ApiServer(Verbs(engine, log).handlers())
            exits.push_async_callback(server.close)
            await server.start(data_dir)
            engines.append(engine)
        while any(len(engine.node.view) < len(hosts) for engine in engines):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(crowd(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
