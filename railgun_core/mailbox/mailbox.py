"""The mailbox: who may leave an envelope here, when that counts as kept, and who may take it away.

Deposits come on inbound links, under a pseudonym made for it, or through the mixnet; each stands alone, signed by the
room's mail key of the day. A receipt without a code leaves only after the envelope is durable, and a repeated deposit
waits for the first. Nothing is taken out before its expiry but by `evict` (less room than before, or a disk in
trouble); then a signed notice stays in its place. Pure: effects go out, nothing waits here. Source: protocol.md 6.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import Group, LinkId, MsgId, Tag, handle_of
from railgun_core.base.keys import Identity, verify
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.base.timers import Timers
from railgun_core.changes import MailAdd, MailDrop, MailEvict, StoredMail
from railgun_core.committee.epoch import DAY_S, MAIL_TTL_DAYS
from railgun_core.committee.view import RelayView
from railgun_core.events import Effect, MailFetched, Noticed, Save, SaveSoon, Send
from railgun_core.mailbox.collecting import Collecting
from railgun_core.mailbox.limits import EVICT_AT_ONCE, WAITERS, MailboxLimits
from railgun_core.mailbox.links import MailLink, mixnet_link, new_link
from railgun_core.mailbox.names import Kept
from railgun_core.mailbox.shelf import Answer, MailTag, Pending, Shelf, before_day, charge
from railgun_core.status import MailboxStatus
from railgun_core.wire.frames import Refused, envelope_frame
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Collect, Deposit, Receipt, collect_message, sign_evicted
from railgun_core.wire.posts import PostAnswer, PostStatus

Then = Callable[[Instant, list[Effect]], None]
No = tuple[Refusal, int]  # a refusal, and when to ask again, ms

EXPIRE_EVERY_S = 3_600.0
MAX_TTL_S = (MAIL_TTL_DAYS + 1) * DAY_S  # one day more than asked for: clocks differ
EARLY_S = 3_600  # how long before its day a mail tag is taken
NO_ROOM_RETRY_MS = 3_600_000  # room comes back when something expires
LATER_MS = 60_000
DROP_EVERY_S = 1.0
MAX_BYTES = 2**63
DISK_REST_S = 60.0  # after the disk was in trouble nothing new is taken for so long


class Mailbox:
    """All mail this peer keeps. `when_saved` gives the ticket for a Save, and calls back once that is durable."""

    def __init__(
        self, identity: Identity, *, view: RelayView, limits: MailboxLimits, when_saved: Callable[[Then], int]
    ) -> None:
        self._identity = identity
        self._view = view
        self._when_saved = when_saved
        self._shelf = Shelf()
        self._links: dict[LinkId, MailLink] = {}
        self._groups: Counter[Group] = Counter()  # of links
        self._mixnet: MailLink | None = None  # the rates of all that comes without a link
        self._rests_until_s = 0.0
        self._target_bytes = MAX_BYTES  # below the limit while the disk is in trouble
        self._evicting = False  # a part of it is on its way to the disk
        self._to_drop = 0  # envelopes that have expired and are still on the disk
        self._deposits = self._no_room = self._evicted = 0
        self.limits = limits
        self.serves = False
        self.clock_is_wrong = False  # then nothing is held to have expired
        self.timers: Timers[tuple[str, int]] = Timers()
        self._collecting = Collecting(self.timers, lambda: self.limits)

    def start(
        self,
        stored: tuple[StoredMail, ...],
        now: Instant,
        out: list[Effect],
        *,
        serves: bool,
        restored_backup: bool = False,
    ) -> None:
        """Take back what was kept before a restart. Without `serves` it is still handed out, but nothing is added."""
        self.serves = serves
        self._shelf.restore(stored, restored_backup=restored_backup)
        self.timers.set(("expire", 0), now.mono_s + EXPIRE_EVERY_S)  # by then others have told what time it is
        self._fit(now, out)

    def status(self) -> MailboxStatus:
        """What a screen shows. `refused_quota` counts what found no room, be it the tag's or the whole disk's."""
        return MailboxStatus(
            serving=self.serves,
            tags=sum(1 for held in self._shelf.tags.values() if held.kept),
            envelopes=self._shelf.envelopes,
            used_bytes=self._shelf.used_bytes,
            limit_bytes=self.limits.bytes,
            deposits=self._deposits,
            collections=self._collecting.collections,
            refused_quota=self._no_room,
            evicted=self._evicted,
        )

    @property
    def is_emptying(self) -> bool:
        """Whether nothing new is taken, and something is still handed out."""
        return not self.serves and self._shelf.envelopes > 0

    @property
    def last_expiry_s(self) -> int | None:
        """When the last of what is kept expires, Unix seconds; None: nothing is kept. Looks at all, 5 ms a GB."""
        return max((held.kept.last_expiry_s for held in self._shelf.tags.values() if held.kept), default=None)

    # ------------------------------------------------------------ links and frames

    def link_up(self, link: LinkId, binding: bytes, now: Instant, *, group: Group | None = None) -> None:
        """An inbound link is open. `group`: the address group of the other side; None: not known."""
        is_crowded = group is not None and self._groups[group] >= self.limits.group_links
        if len(self._links) < self.limits.links and not is_crowded:
            self._links[link] = new_link(binding, self.limits, now.mono_s, group=group)
            self._groups.update(() if group is None else (group,))

    def link_down(self, link: LinkId) -> None:
        """A link is gone; what was left on it stays."""
        state = self._links.pop(link, None)
        if state is None:
            return
        self._collecting.link_down(link, state)
        if state.group is not None:
            self._groups[state.group] -= 1
            if not self._groups[state.group]:
                del self._groups[state.group]

    def frame(self, link: LinkId, frame: Deposit | Collect, now: Instant, out: list[Effect]) -> None:
        """A deposit or a collection, answered by RECEIPT, or by envelopes and COLLECTED, or by REFUSED."""
        state = self._links.get(link)
        if isinstance(frame, Deposit):
            no = (Refusal.FULL, LATER_MS) if state is None else self._take(frame, link, state, now, out)
            if no is not None:
                receipt = Receipt(handle_of(frame.tag), frame.msg_id, *no)
                out.append(Send(link, (receipt.encode(),)))
        else:
            no = (Refusal.FULL, LATER_MS) if state is None else self._collect(frame, link, state, now, out)
            if no is not None:
                out.append(Send(link, (Refused(handle_of(frame.tag), *no).encode(),)))

    def posted(self, deposit: Deposit, answer: Answer, now: Instant, out: list[Effect]) -> None:
        """A deposit that came through the mixnet: answered once, when it is durable or refused."""
        if self._mixnet is None:
            self._mixnet = mixnet_link(self.limits, now.mono_s)
        no = self._refusal(deposit, self._mixnet, now)
        if no is None:
            held = self._shelf.tags.get(deposit.tag)
            if held is not None and deposit.digest in held.kept:
                answer(_stored(), now, out)
                return
            no = self._add(deposit, now, out, answer=answer)
        if no is not None:
            answer(PostAnswer(PostStatus.REFUSED, no[0]), now, out)

    def fetched(self, event: MailFetched, now: Instant, out: list[Effect]) -> None:
        """The disk's answer to a FetchMail."""
        self._collecting.fetched(event, now, out)

    # ------------------------------------------------------------ deposits

    def wants(self, deposit_day: int, now: Instant) -> bool:
        """Whether mail of this day is taken now: of yesterday, of today, and within an hour of it of tomorrow."""
        return int(now.unix_s // DAY_S) - 1 <= deposit_day <= _last_day(now)

    def _take(self, deposit: Deposit, link: LinkId, state: MailLink, now: Instant, out: list[Effect]) -> No | None:
        no = self._refusal(deposit, state, now)
        if no is not None:
            return no
        held = self._shelf.tags.get(deposit.tag)
        if held is not None and deposit.digest in held.kept:
            out.append(Send(link, (Receipt(held.handle, deposit.msg_id).encode(),)))
            return None
        return self._add(deposit, now, out, link=link)

    def _refusal(self, deposit: Deposit, state: MailLink, now: Instant) -> No | None:
        """Why this may not be left here, or None; in the order of cost. Its signature is about 100 us."""
        if not self.serves:
            return Refusal.NOT_SERVING, NO_ROOM_RETRY_MS
        if state.deposits.take(1, now.mono_s) == 0:
            return Refusal.RATE, state.deposits.retry_after_ms(1)
        if not self.wants(deposit.day, now):
            return Refusal.WRONG_EPOCH, 0
        if not now.unix_s < deposit.expiry_s <= now.unix_s + MAX_TTL_S:
            return Refusal.EXPIRED, 0  # over, or so far ahead that nobody here promises it
        if not deposit.is_signed():
            return Refusal.BAD_SIGNATURE, 0
        return self._place_refusal(deposit.tag, deposit.day, state.draws, now)

    def _place_refusal(self, tag: Tag, day: int, draws: TokenBucket, now: Instant) -> No | None:
        """Whether this peer is a mailbox of a tag; for a tag that is known the answer stays what it was."""
        held = self._shelf.tags.get(tag)
        if held is not None:
            return None if held.day == day else (Refusal.NOT_SERVING, 0)
        if draws.take(1, now.mono_s) == 0:
            return Refusal.RATE, draws.retry_after_ms(1)
        seat = self._view.mailboxes(tag, day).seat_of(self._identity.peer_id)
        return (Refusal.NOT_SERVING, 0) if seat is None else None

    def _room_refusal(self, held: MailTag | None, size: int, now: Instant) -> No | None:
        """Whether there is room for a frame of this size."""
        if now.mono_s < self._rests_until_s:
            self._no_room += 1
            return Refusal.FULL, LATER_MS
        added = self._shelf.cost_of(held, size)
        if (held.charged_bytes if held is not None else 0) + charge(size) > self.limits.tag_bytes:
            self._no_room += 1
            return Refusal.QUOTA, NO_ROOM_RETRY_MS
        no_place = held is None and len(self._shelf.tags) >= self.limits.tags
        if no_place or self._shelf.used_bytes + added > self.limits.bytes:
            self._no_room += 1
            return Refusal.FULL, NO_ROOM_RETRY_MS
        if self._shelf.unsaved_bytes + size > self.limits.unsaved_bytes:
            return Refusal.FULL, LATER_MS
        return None

    def _add(
        self,
        deposit: Deposit,
        now: Instant,
        out: list[Effect],
        *,
        link: LinkId | None = None,
        answer: Answer | None = None,
    ) -> No | None:
        """Give a place to what is not durable here yet; who brought it hears of it when it is."""
        held = self._shelf.tags.get(deposit.tag)
        pending = held.pending.get(deposit.digest) if held is not None else None
        if pending is None:
            frame = envelope_frame(
                handle_of(deposit.tag), expiry_s=deposit.expiry_s, msg_id=deposit.msg_id, envelope=deposit.envelope
            )
            no = self._room_refusal(held, len(frame), now)
            if no is not None:
                return no
            pending = self._save(deposit, frame, out)
        elif len(pending.links) + len(pending.answers) >= WAITERS:
            return Refusal.RATE, LATER_MS
        if link is not None:
            pending.links[link] = None
        if answer is not None:
            pending.answers.append(answer)
        return None

    def _save(self, deposit: Deposit, frame: bytes, out: list[Effect]) -> Pending:
        held, pending = self._shelf.promise(
            deposit.tag, deposit.day, digest=deposit.digest, size=len(frame), expiry_s=deposit.expiry_s
        )
        kept = pending.kept
        ticket = self._when_saved(lambda now, effects: self._kept(held, pending, deposit.msg_id, frame, now, effects))
        add = MailAdd(held.tag, held.day, kept.position, kept.digest, kept.expiry_s, frame)
        out.append(Save(ticket, (add,)))
        return pending

    def _kept(
        self, held: MailTag, pending: Pending, msg_id: MsgId, frame: bytes, now: Instant, out: list[Effect]
    ) -> None:
        """An envelope is durable: only now is that said."""
        self._shelf.keep(held, pending)
        self._deposits += 1
        receipt = Receipt(held.handle, msg_id).encode()
        out += [Send(link, (receipt,)) for link in pending.links if link in self._links]
        for answer in pending.answers:
            answer(_stored(), now, out)
        self._collecting.arrived(held, pending.kept, frame, out)
        self._fit(now, out)  # less may have been granted while it was on its way

    # ------------------------------------------------------------ collections

    def _collect(self, asked: Collect, link: LinkId, state: MailLink, now: Instant, out: list[Effect]) -> No | None:
        if state.pages.take(1, now.mono_s) == 0:
            return Refusal.RATE, state.pages.retry_after_ms(1)
        if not before_day(now.unix_s) <= asked.day <= _last_day(now):
            return Refusal.WRONG_EPOCH, 0
        if not verify(asked.tag, "collect", collect_message(state.binding, asked.day), asked.signature):
            return Refusal.BAD_SIGNATURE, 0
        no = self._place_refusal(asked.tag, asked.day, state.draws, now) or self._collecting.refusal(
            state, asked, self.limits
        )
        if no is None:
            self._collecting.answer(link, state, asked, self._shelf.tags.get(asked.tag), now, out)
        return no

    # ------------------------------------------------------------ time and room

    def tick(self, now: Instant, out: list[Effect]) -> None:
        """Do what is due."""
        for what, ticket in self.timers.pop_due(now.mono_s):
            if what == "fetch":
                self._collecting.overdue(ticket, out)
            elif what == "expire":
                self._expire(now, out)
            else:
                self._drop(now, out)

    def set_limits(self, limits: MailboxLimits, now: Instant, out: list[Effect]) -> None:
        """Take mail, and grant this much from now on; what no longer fits is evicted."""
        self.serves, self.limits = True, limits
        self._fit(now, out)

    def close(self) -> None:
        """Take nothing new from now on; what is here is handed out until it expires."""
        self.serves = False

    def empty(self, now: Instant, out: list[Effect]) -> None:
        """Take out all there is, part by part: a person wants the room back. Call it when nothing is on its way."""
        self._target_bytes = 0
        self._fit(now, out)

    def evict(self, needed_bytes: int, now: Instant, out: list[Effect]) -> None:
        """The disk is in trouble: give back this much, or all there is, and take nothing new for a minute."""
        self._rests_until_s = now.mono_s + DISK_REST_S
        self._target_bytes = min(self._target_bytes, self._shelf.used_bytes - needed_bytes)
        self._fit(now, out)

    def _expire(self, now: Instant, out: list[Effect]) -> None:
        self.timers.set(("expire", 0), now.mono_s + EXPIRE_EVERY_S)
        if self.clock_is_wrong:
            return
        known = len(self._shelf.tags)
        gone = self._shelf.expire(now.unix_s)
        self._to_drop += gone
        if gone or len(self._shelf.tags) < known:
            self._drop(now, out)

    def _drop(self, now: Instant, out: list[Effect]) -> None:
        """Take what has expired from the disk, some of it each second."""
        drop = MailDrop(int(now.unix_s), before_day(now.unix_s))
        out.append(SaveSoon((drop,)))
        self._to_drop = max(0, self._to_drop - drop.most)
        if self._to_drop:
            self.timers.set(("drop", 0), now.mono_s + DROP_EVERY_S)

    def _fit(self, now: Instant, out: list[Effect]) -> None:
        """Take out the oldest until the rest fits, and leave signed notices: a part now, the next when that is done."""
        if self._evicting:
            return
        changes: list[MailEvict] = []
        count = 0
        granted_bytes = self.limits.bytes if self.serves else MAX_BYTES  # who stops serving keeps its word to the end
        limit_bytes = min(granted_bytes, self._target_bytes)
        for held in self._shelf.oldest_first() if self._shelf.used_bytes > limit_bytes else ():
            needed_bytes = self._shelf.used_bytes - limit_bytes
            if needed_bytes <= 0 or count == EVICT_AT_ONCE:
                break
            taken = self._shelf.evict(held, needed_bytes, EVICT_AT_ONCE - count)
            changes.append(self._notice(held, taken, now))
            count += len(taken)
        if changes:
            self._evicting = True
            self._evicted += count
            out.append(Save(self._when_saved(self._fit_on), tuple(changes)))
            out.append(Noticed("mail-evicted", str(count)))
        else:
            self._target_bytes = MAX_BYTES

    def _fit_on(self, now: Instant, out: list[Effect]) -> None:
        self._evicting = False
        self._fit(now, out)

    def _notice(self, held: MailTag, taken: list[Kept], now: Instant) -> MailEvict:
        """One notice a tag: it grows with each eviction, so that any number of them takes one row."""
        old = held.notice
        first = taken[0].position if old is None else min(old.first, taken[0].position)
        count = len(taken) + (0 if old is None else old.count)
        last, at_s = taken[-1].position, int(now.unix_s)
        notice = sign_evicted(self._identity, held.tag, held.day, first=first, last=last, count=count, at_s=at_s)
        held.notice = notice
        return MailEvict(held.tag, held.day, first, last, notice.encode())


def _stored() -> PostAnswer:
    return PostAnswer(PostStatus.STORED, held=1, size=1)


def _last_day(now: Instant) -> int:
    """The newest day whose mail tags are in use."""
    return int((now.unix_s + EARLY_S) // DAY_S)
