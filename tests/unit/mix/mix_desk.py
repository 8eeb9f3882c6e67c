"""One mix under a virtual clock: a disk that takes its time, links that are there or not, and what left when."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, PeerId
from railgun_core.changes import Change, MixTagsAdd, MixTagsDrop, SecretPut
from railgun_core.events import Effect, Save, Send
from railgun_core.mix.keyring import MixKeyring
from railgun_core.mix.mix import Mix, MixLimits
from railgun_core.mix.sphinx import Hop, new_packet, public_key
from railgun_core.mix.topology import MixNode
from railgun_core.wire.frames import Packet, decode_control
from railgun_core.wire.kinds import LENGTH

OWN = PeerId(b"O" * 32)
NEXT = PeerId(b"N" * 32)
NEXT_PRIVATE = b"n" * 32
NEXT_LINK = LinkId(7)
CLIENT = LinkId(1)
UNIX_S = 1_800_000_000.0  # the begin of a key period
GENEROUS = MixLimits(packets_per_s=1_000_000, burst=1_000_000)


class Disk:
    """What was saved, as the store would give it back."""

    def __init__(self) -> None:
        self.secrets: dict[str, SecretPut] = {}
        self.tags: list[MixTagsAdd] = []

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if isinstance(change, SecretPut):
                self.secrets.pop(change.name, None)
                if change.value is not None:
                    self.secrets[change.name] = change
            elif isinstance(change, MixTagsAdd):
                self.tags.append(change)
            elif isinstance(change, MixTagsDrop):
                self.tags = [entry for entry in self.tags if entry.period >= change.before_period]


class Desk:
    """Feeds a mix and carries out what it asks for. `save_s` None: saves wait for `save_all`."""

    def __init__(
        self,
        *,
        limits: MixLimits = GENEROUS,
        save_s: float | None = 0.002,
        disk: Disk | None = None,
        mixes: Sequence[MixNode] = (),
        at_s: float = 1_000.0,
        restored_backup: bool = False,
        seed: int = 1,
    ) -> None:
        self.rng = random.Random(seed)
        self.now = Instant(at_s, UNIX_S + at_s - 1_000.0)
        self.save_s = save_s
        self.disk = disk or Disk()
        self.links: dict[PeerId, LinkId] = {NEXT: NEXT_LINK}
        self.dialled: list[PeerId] = []
        self.sent: list[tuple[float, LinkId, bytes]] = []
        self.sends: list[Send] = []
        self.saves: list[Save] = []
        self.arrived: list[tuple[float, bytes]] = []
        self.delivered: list[tuple[bytes, bytes, bytes]] = []
        self.mixes = mixes
        self._open_saves: list[tuple[float, int, Save]] = []
        self._tickets: dict[int, Callable[[Instant, list[Effect]], None]] = {}
        self._numbers = itertools.count(1)
        self.mix = Mix(
            OWN,
            rng=self.rng,
            keyring=MixKeyring(),
            limits=limits,
            link_to=self._link_to,
            when_saved=self._when_saved,
            arrived=lambda payload, now, out: self.arrived.append((now.mono_s, payload)),
            deliver=lambda recipient, reply_id, payload, now, out: self.delivered.append(
                (recipient, reply_id, payload)
            ),
            mixes=lambda now: self.mixes,
        )
        out: list[Effect] = []
        secrets = tuple(self.disk.secrets.values())
        self.mix.start(secrets, tuple(self.disk.tags), self.now, out, restored_backup=restored_backup)
        self.carry_out(out)
        self.save_all()

    def _link_to(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> LinkId | None:
        if peer_id not in self.links:
            self.dialled.append(peer_id)
        return self.links.get(peer_id)

    def _when_saved(self, then: Callable[[Instant, list[Effect]], None]) -> int:
        number = next(self._numbers)
        self._tickets[number] = then
        return number

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Save():
                    self.saves.append(effect)
                    due_s = self.now.mono_s + (self.save_s if self.save_s is not None else 1e9)
                    heapq.heappush(self._open_saves, (due_s, effect.ticket, effect))
                case Send():
                    self.sends.append(effect)
                    self.sent += [(self.now.mono_s, effect.link, bytes(chunk)) for chunk in effect.chunks]
                case _:
                    raise AssertionError(effect)

    def save_all(self) -> None:
        """The disk has finished everything it was given so far."""
        while self._open_saves:
            self._finish_save()

    def _finish_save(self) -> None:
        _, ticket, save = heapq.heappop(self._open_saves)
        self.disk.apply(save.changes)
        out: list[Effect] = []
        self._tickets.pop(ticket)(self.now, out)
        self.carry_out(out)

    def hear(self, *packets: bytes, link: LinkId = CLIENT) -> None:
        """One read brings these packets."""
        out: list[Effect] = []
        for packet in packets:
            self.mix.packet(link, packet, self.now, out)
        self.mix.flush(self.now, out)
        self.carry_out(out)

    def link_up(self, peer_id: PeerId, link: LinkId) -> None:
        self.links[peer_id] = link
        out: list[Effect] = []
        self.mix.link_up(peer_id, link, self.now, out)
        self.carry_out(out)

    def run(self, seconds: float) -> None:
        """Let time pass; ticks and saves happen at their exact moments."""
        end_s = self.now.mono_s + seconds
        while True:
            tick_s = self.mix.timers.next_s()
            save_s = self._open_saves[0][0] if self._open_saves else None
            next_s = min((at_s for at_s in (tick_s, save_s) if at_s is not None), default=end_s + 1)
            if next_s > end_s:
                break
            self.now = self.now.after(max(0.0, next_s - self.now.mono_s))
            if next_s == save_s:
                self._finish_save()
            else:
                out: list[Effect] = []
                self.mix.tick(self.now, out)
                self.carry_out(out)
        self.now = self.now.after(end_s - self.now.mono_s)

    def hop(self, delay_ms: int = 0) -> Hop:
        """This mix as a hop, by the key it publishes."""
        return Hop(OWN, self.mix.published_key, delay_ms)

    def through(self, delay_ms: int = 0, payload: bytes = b"x") -> bytes:
        """A packet through this mix to NEXT."""
        return new_packet([self.hop(delay_ms), Hop(NEXT, public_key(NEXT_PRIVATE))], payload, rng=self.rng)

    def terminal(self, payload: bytes = b"x", *, recipient: bytes | None = None, delay_ms: int = 0) -> bytes:
        """A packet that ends here."""
        return new_packet([self.hop(delay_ms)], payload, rng=self.rng, recipient=recipient)


def packet_in(chunk: bytes) -> bytes:
    """The packet in a whole frame."""
    assert LENGTH.unpack_from(chunk)[0] == len(chunk) - 4
    decoded = decode_control(chunk, 0, len(chunk))
    assert isinstance(decoded, Packet)
    return decoded.body
