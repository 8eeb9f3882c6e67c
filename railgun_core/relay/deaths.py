"""Deaths of fellow relays: one observer's silence is an opinion, two observers in distinct address groups are news.

An observer that heard nothing of a fellow for 30 s signs an obituary and sends it to the other fellows of the common
duties. Who has two, about the very record it knows, says so once: to the person, to the trust port, and, as a standby
that stands in, with an announcement in the DHT. A newer record of the peer voids all words about an older one.
Nobody is declared dead by a node that is cut off itself or whose fellows fell silent together, nobody against what this
node hears itself, and no committee changes by any of it. Source: protocol.md 9; threats.md B09, B34.
"""

from __future__ import annotations

from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.heartbeat import DEAD_AFTER_S
from railgun_core.base.ids import Group, PeerId
from railgun_core.base.keys import Identity
from railgun_core.committee.trust import Trust
from railgun_core.committee.view import RelayView
from railgun_core.events import Announce, Effect, Noticed, Send
from railgun_core.relay.duty import Duty
from railgun_core.relay.watches import Watch, Watches
from railgun_core.wire.mail import Obituary, sign_obituary
from railgun_core.wire.records import CLOCK_SLACK_S, MAX_LIFETIME_S, AnnouncementBody, sign_record

OBSERVERS = 2
SILENT_AT_LEAST_S = 25  # an observer's 30 s, give or take
SAY_AGAIN_S = 30.0  # others may have been cut off, or have known another record
VERIFY_AGAIN_S = 5.0  # of one observer about one peer
MAX_PEERS = 256  # that there are words about; the oldest goes
MAX_WORDS = 16  # about one peer


@dataclass(frozen=True, slots=True)
class _Word:
    """What one observer says of a peer."""

    sequence: int
    group: Group
    at_s: float  # Unix time of the observer
    heard_s: float  # monotonic


class Deaths:
    """What observers say of silent fellows, and what follows from it."""

    def __init__(
        self,
        identity: Identity,
        *,
        view: RelayView,
        watches: Watches,
        trust: Trust,
    ) -> None:
        self._identity = identity
        self._view = view
        self._watches = watches
        self._trust = trust
        self._words: dict[PeerId, dict[PeerId, _Word]] = {}
        self._declared: dict[PeerId, int] = {}

    def is_declared(self, peer_id: PeerId) -> bool:
        """Whether a peer's death is known, and no newer record of it."""
        record = self._view.get(peer_id)
        return record is not None and self._declared.get(peer_id, -1) >= record.sequence

    def observe(self, watch: Watch, now: Instant, out: list[Effect]) -> None:
        """Nothing was heard of a fellow for 30 s: say so, unless it is this node that hears nothing."""
        record = self._view.get(watch.peer_id)
        own_id = self._identity.peer_id
        if record is None or not watch.met or self._view.group(own_id) is None:
            return
        if self.is_declared(watch.peer_id):
            return
        if not self._may_judge(watch, now):
            watch.excused_s = now.mono_s
        if now.mono_s - watch.excused_s < DEAD_AFTER_S:
            return  # the network may have come back a moment ago, and not everybody at once
        said = self._words.get(watch.peer_id, {}).get(own_id)
        if said is not None and said.sequence == record.sequence and now.mono_s - said.heard_s < SAY_AGAIN_S:
            return
        silent_s = int(now.unix_s - (now.mono_s - watch.beat.heard_s))
        word = sign_obituary(
            self._identity, watch.peer_id, sequence=record.sequence, silent_s=silent_s, at_s=int(now.unix_s)
        )
        links = {
            replica.link: None
            for duty in watch.duties.values()
            for replica in duty.open_replicas()
            if replica.peer_id != watch.peer_id
        }
        out += [Send(link, (word.encode(),)) for link in links]
        self._keep(word, own_id, now)
        self._count(watch.peer_id, now, out)

    def told(self, teller: PeerId, word: Obituary, now: Instant, out: list[Effect]) -> None:
        """A fellow sent an obituary. Only its own word counts, about somebody both have a duty with.

        MalformedFrame when it did not sign it.
        """
        record = self._view.get(word.peer_id)
        if record is None or word.observer != teller or word.sequence < record.sequence:
            return
        if word.peer_id in (teller, self._identity.peer_id) or self._common_duty(teller, word.peer_id) is None:
            return
        if abs(word.at_s - now.unix_s) > CLOCK_SLACK_S or word.at_s - word.silent_s < SILENT_AT_LEAST_S:
            return
        said = self._words.get(word.peer_id, {}).get(teller)
        if said is not None and now.mono_s - said.heard_s < VERIFY_AGAIN_S:
            return
        if not word.is_signed():
            raise MalformedFrame("obituary")
        self._keep(word, teller, now)
        self._count(word.peer_id, now, out)

    def _may_judge(self, watch: Watch | None, now: Instant) -> bool:
        """Whether this node hears enough of the others to say anything about one of them."""
        if self._watches.is_cut_off(now.mono_s):
            return False
        return watch is None or not watch.met or not self._watches.fell_with_others(watch)

    def _common_duty(self, teller: PeerId, peer_id: PeerId) -> Duty | None:
        """A duty in whose committee both are, and in which the teller has a session here."""
        watch = self._watches.get(teller)
        for duty in watch.duties.values() if watch is not None else ():
            replica, seat_of = duty.replicas.get(teller), duty.committee.seat_of
            if replica is not None and replica.open and seat_of(teller) is not None and seat_of(peer_id) is not None:
                return duty
        return None

    def _keep(self, word: Obituary, observer: PeerId, now: Instant) -> None:
        group = self._view.group(observer)
        if group is None:
            return
        words = self._words.pop(word.peer_id, {})
        self._words[word.peer_id] = words  # the newest are last
        words.pop(observer, None)
        words[observer] = _Word(word.sequence, group, float(word.at_s), now.mono_s)
        while len(words) > MAX_WORDS:
            del words[next(iter(words))]
        while len(self._words) > MAX_PEERS:
            del self._words[next(iter(self._words))]

    def _count(self, peer_id: PeerId, now: Instant, out: list[Effect]) -> None:
        """Whether enough observers say the same of the record that is known here; then it is said, once."""
        record, watch = self._view.get(peer_id), self._watches.get(peer_id)
        if record is None or self.is_declared(peer_id) or not self._may_judge(watch, now):
            return
        if watch is not None and watch.met and now.mono_s - watch.beat.heard_s < SILENT_AT_LEAST_S:
            return  # it is heard here
        words = self._words.get(peer_id, {}).values()
        groups = dict.fromkeys(
            word.group
            for word in words
            if word.sequence == record.sequence and abs(now.unix_s - word.at_s) <= CLOCK_SLACK_S
        )
        if len(groups) < OBSERVERS:
            return
        self._declared.pop(peer_id, None)
        self._declared[peer_id] = record.sequence
        while len(self._declared) > MAX_PEERS:
            del self._declared[next(iter(self._declared))]
        out.append(Noticed("relay-died"))
        self._trust.died(peer_id, len(groups))
        for duty in list(watch.duties.values()) if watch is not None else ():
            if duty.stands_in and duty.committee.seat_of(peer_id) is not None:
                self._announce(duty, now, out)

    def _announce(self, duty: Duty, now: Instant, out: list[Effect]) -> None:
        """Say in the DHT that this standby serves the tag now, with the committee as it is seen here."""
        committee, unix_s = duty.committee, int(now.unix_s)
        roster = tuple(
            holder.peer_id
            for holder in (*committee.seats, *committee.standbys[: duty.promoted])
            if not self.is_declared(holder.peer_id)
        )
        body = AnnouncementBody(duty.tag, duty.epoch, duty.seat, min(len(duty.members), 0xFFFF), roster)
        expires_s = min(unix_s + MAX_LIFETIME_S, int(duty.until_s))
        record = sign_record(
            self._identity, body, sequence=int(now.unix_s * 1000), not_before_s=unix_s, expires_s=expires_s
        )
        out.append(Announce(record))


assert SILENT_AT_LEAST_S < DEAD_AFTER_S
