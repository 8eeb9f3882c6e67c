"""How one engine comes into the network, looks for relays there, and finds back after it was away.

Ways in: the configured entries (not in mode full), the contacts of earlier runs, peers of the local network, and the
hints of an invite. Looking up is one at a time: the answer to the next one would be the same.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from railgun_core.base.errors import EnvironmentFailure, MalformedFrame
from railgun_core.base.ids import PeerId
from railgun_core.changes import PeerPut
from railgun_core.config import Config
from railgun_core.discovery.config import DhtConfig
from railgun_core.discovery.dht import Dht
from railgun_core.engine.ledger import EngineLedger
from railgun_core.events import Event, Lookup, RelaysFound
from railgun_core.rooms.invite import MAX_HINTS
from railgun_core.wire.records import Record, decode_record

if TYPE_CHECKING:
    from railgun_core.discovery.lan import LanDiscovery


class Entering:
    """The engine's way into the DHT. `spawn` runs a coroutine until the engine ends."""

    def __init__(
        self,
        config: Config,
        dht: Dht,
        ledger: EngineLedger,
        *,
        tell: Callable[[Event], None],
        notice: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._config = config
        self._dht = dht
        self._ledger = ledger
        self._tell = tell
        self._notice = notice
        self._spawn = spawn
        self._lan: LanDiscovery | None = None
        self._looking = False
        self._numeric: list[tuple[str, int]] = []

    def start(self, own: Record | None, peer_id: PeerId, host: str, port: int) -> None:
        """Begin to enter, and publish `own` on the way. `host` and `port`: where the DHT is, for the local network."""
        self._spawn(self._start(own, peer_id, host, port))

    async def close(self) -> None:
        """Leave the local network's directory."""
        if self._lan is not None:
            await self._lan.close()

    def use_entries(self, config: Config) -> None:
        """The mode has changed: ask these entries, or none any more. Whoever is known stays known."""
        self._dht.drop_entries([(entry.host, entry.port) for entry in self._config.entries])
        self._config = config
        self._numeric = []
        if config.entries:
            self._spawn(self._ask_entries())

    def find_back(self, *, moved: bool) -> None:
        """This machine was away, or is somewhere else (`moved`): nothing that is known of links and tokens holds."""
        self._spawn(self._dht.find_back(moved=moved))

    def look_up(self, effect: Lookup) -> None:
        """Find relays; RelaysFound follows, unless a look-up is under way."""
        if not self._looking:
            self._looking = True
            self._spawn(self._look_up(effect))

    def contact_hints(self) -> tuple[tuple[str, int], ...]:
        """Where a newcomer may enter: other peers and the configured entries; never this peer.

        An invite passes through many hands, and its maker's address would tell all of them where a member lives.
        """
        others = [(str(contact.ip), int(contact.port)) for contact in itertools.islice(self._dht.table.contacts(), 3)]
        return tuple(dict.fromkeys([*others, *self._numeric]))[:MAX_HINTS]

    async def _start(self, own: Record | None, peer_id: PeerId, host: str, port: int) -> None:
        await self._ask_entries()
        if own is not None:
            await self._dht.publish(own)
        if self._config.lan and not self._config.quiet:
            from railgun_core.discovery.lan import LanDiscovery  # zeroconf: 4 MB that most peers need not have

            self._lan = LanDiscovery(peer_id, found=self._dht.bootstrap)
            try:
                await self._lan.start([host], port)
            except EnvironmentFailure as failure:
                self._notice(failure.code)

    async def _ask_entries(self) -> None:
        """Ask the configured entries and, in any case, the contacts of earlier runs."""
        entries = [(entry.host, entry.port) for entry in self._config.entries]
        self._numeric = [entry for entry in entries if _is_numeric(entry[0])]
        if entries:
            self._ledger.bootstrap_asked(entries)
        await self._dht.bootstrap(entries)

    async def _look_up(self, effect: Lookup) -> None:
        if self._config.quiet:
            self._ledger.bootstrap_asked(self._numeric, targets=effect.targets)
        else:
            places = (*effect.targets, *effect.mailboxes)
            self._ledger.looked_up(places, (contact.id for contact in self._dht.table.contacts()))
        try:
            relays, mailboxes = await asyncio.gather(
                self._dht.relays_near(effect.targets), self._dht.mailboxes_near(effect.mailboxes)
            )
        finally:
            self._looking = False
        self._tell(RelaysFound((*relays, *mailboxes)))


def dht_config(config: Config) -> DhtConfig:
    """The part of the options that the DHT depends on."""
    # On loopback nobody from outside can be met, and all peers share one address.
    alone = ipaddress.ip_address(config.listen.host).is_loopback
    return DhtConfig(
        net_limits=config.address_limits and not alone,
        group_by_port=config.group_by == "port",
        puzzle_bits=config.puzzle_bits,
        quiet=config.quiet,
        state_path=config.data_dir / "contacts.json",
    )


def records_of(rows: tuple[PeerPut, ...]) -> list[Record]:
    """The records of earlier runs that can still be read."""
    found = []
    for row in rows:
        try:
            found.append(decode_record(row.raw))
        except MalformedFrame:
            continue
    return found


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
