"""Giving envelopes to whoever keeps them: the mailboxes of the day, through mixes where the room sends so, or a server.

An envelope counts as kept when enough mailboxes say that it is on their disks, or the server of hybrid mode does; then
its item is as good as stored by a committee. Whoever said no, or nothing, is replaced by a standby, and asked again,
ever more rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId, PeerId, RoomId, Tag
from railgun_core.changes import Delivery, Item
from railgun_core.events import CentralKept, Effect, Noticed, Send
from railgun_core.rooms import mail_packing as packing
from railgun_core.rooms.central_way import CentralWay
from railgun_core.rooms.detour import Detour
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.mail import KEEP_FORMERS, UNCONFIRMED_AFTER_S, Keeper, mail_lane
from railgun_core.rooms.mail_links import Box, MailLinks
from railgun_core.rooms.mail_parcels import Parcel, Spool
from railgun_core.rooms.progress import report
from railgun_core.rooms.room import AWAIT_S, Room, RoomContext
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Receipt
from railgun_core.wire.posts import PostStatus, decode_post_answer


class Leaving:
    """The envelopes of all rooms that are on their way to somebody who keeps them."""

    def __init__(
        self,
        context: RoomContext,
        links: MailLinks,
        central: CentralWay,
        detour: Detour,
        guarded: Callable[[Room], bool],
    ) -> None:
        self._context = context
        self._links = links
        self._central = central
        self._detour = detour
        self._guarded = guarded
        self._spools: dict[tuple[RoomId, Tag], Spool] = {}
        self._told_formers: set[tuple[int, bytes]] = set()  # day and letter

    # ------------------------------------------------------------ packing and giving

    def look(self, room: Room, today: Lane, now: Instant, out: list[Effect]) -> None:
        """Pack what is to be left for others, and give it to whoever keeps it."""
        central = self.uses_central(room)
        known = self._spools.get((room.id, today.keys.tag))
        shut, lack = (frozenset[PeerId](), None) if known is None else (known.shut(now.mono_s), known.lack(now.mono_s))
        targets = self._links.targets(room, today, now, shut=shut)
        boxes = bool(targets.mailboxes)
        room.mail.lack = lack if len(targets.mailboxes) < targets.enough else None
        room.mail.way = "mailbox" if boxes else "central" if central else "none"
        for key in [k for k, spool in self._spools.items() if k[0] == room.id and spool.lane.epoch != today.epoch]:
            del self._spools[key]  # its items are packed anew, under today's mail
        if boxes or central:
            spool = self._spool(room, today)
            outbox = room.outbox
            spool.drop_items({*outbox.placed, *outbox.queued, *outbox.stored})
            packing.pack(
                room,
                self._context,
                spool,
                now,
                out,
                central_first=central and self._central.is_first_at(now.mono_s),
                boxes=boxes,
            )
            self._tell_former(room, today.epoch, now)
        self.hand_out(room, now, out)

    def _tell_former(self, room: Room, day: int, now: Instant) -> None:
        """Letters with a new root, for who is away: under the root that it knows, once a day.

        A day's mail is dropped here when the next one begins, kept or not; so each day says it anew.
        """
        self._told_formers = {told for told in self._told_formers if told[0] == day}
        for former in room.lineage.formers[-KEEP_FORMERS:]:
            if now.unix_s < former.until_s - AWAIT_S + UNCONFIRMED_AFTER_S:
                continue
            for readers, content in former.letters:
                if (day, content) not in self._told_formers and not readers.isdisjoint(former.awaited):
                    self._told_formers.add((day, content))
                    spool = self._spool(room, mail_lane(former.mail, former.root, day, self._context.rng))
                    packing.add_letter(room, spool, content, now)

    def hand_out(self, room: Room, now: Instant, out: list[Effect]) -> None:
        """Give every envelope of a room to whoever lacks it and may be asked."""
        for key, spool in list(self._spools.items()):
            if key[0] == room.id and spool.parcels:
                self._give(room, spool, now, out)

    def _give(self, room: Room, spool: Spool, now: Instant, out: list[Effect]) -> None:
        """Give envelopes to the mailboxes that lack them, and those that nobody keeps to the server."""
        spool.tidy(now.mono_s, self._links.targets(room, spool.lane, now).mailboxes)
        targets = self._links.targets(room, spool.lane, now, shut=spool.shut(now.mono_s))
        for mailbox in targets.mailboxes:
            due = spool.due(mailbox, now.mono_s)
            if not due:
                continue
            if room.secure:
                self._post(room, spool, mailbox, due, now, out)
                continue
            box = self._links.box(room, spool.lane, mailbox, now, out)
            if box is not None and box.link is not None:
                for parcel in due:
                    parcel.sent_s[mailbox] = now.mono_s
                box.waits += len(due)
                box.used_s = now.mono_s
                out.append(Send(box.link, tuple(parcel.deposit.encode() for parcel in due)))
        if self.uses_central(room) and not self._detour.ways(room.id):
            for parcel in list(spool.parcels.values()):
                if parcel.may_go_central(now.mono_s, mailboxes=bool(targets.mailboxes)):
                    self._central.keep(spool, parcel, now, out)

    def _post(
        self, room: Room, spool: Spool, mailbox: PeerId, due: list[Parcel], now: Instant, out: list[Effect]
    ) -> None:
        """Deposits of a high-security room: through mixes, like everything it sends."""
        carrier = self._context.carrier
        for parcel in due:
            msg_id = parcel.deposit.msg_id

            def answered(reply: bytes | None, then: Instant, effects: list[Effect], msg_id: MsgId = msg_id) -> None:
                self._posted(room, spool, mailbox, msg_id, reply, then, effects)

            if not carrier.reaches(mailbox, now) or not carrier.post(parcel.deposit.body, mailbox, answered, now, out):
                parcel.failed(mailbox, now.mono_s)
                continue
            parcel.sent_s[mailbox] = now.mono_s

    def _posted(
        self,
        room: Room,
        spool: Spool,
        mailbox: PeerId,
        msg_id: MsgId,
        reply: bytes | None,
        now: Instant,
        out: list[Effect],
    ) -> None:
        """The mailbox's answer to a post, or none."""
        try:
            answer = None if reply is None else decode_post_answer(reply)
        except MalformedFrame:
            answer = None
        if answer is None:
            spool.lost(mailbox, now.mono_s)
        else:
            code = None if answer.status is PostStatus.STORED else answer.code
            kept: list[int] = []
            said = Receipt(spool.lane.handle, msg_id, code)
            self.receipt(room, spool.lane, mailbox, said, kept, now, out)
            self.items_kept(room, kept, Keeper.MAILBOX, spool.lane.epoch, now, out)
        self._context.wake("mail", room.id, now.mono_s)

    def items_kept(
        self, room: Room, seqs: list[int], keeper: Keeper, day: int, now: Instant, out: list[Effect]
    ) -> None:
        """Own items are kept for whoever comes: that is as good as a majority of a committee."""
        if not seqs:
            return
        for seq in seqs:
            room.mail.keep(seq, keeper, day)
        epoch = self._context.clock.epoch_at(now.unix_s)
        news = room.outbox.keep(seqs, epoch, now.mono_s)
        report(room, news, Delivery.STORED, epoch, out)
        if news:
            room.nudges = 0
            self._context.wake("nudge", room.id, now.mono_s + 3.0)

    # ------------------------------------------------------------ answers

    def receipt(
        self,
        room: Room,
        lane: Lane,
        mailbox: PeerId,
        said: Receipt,
        kept: list[int],
        now: Instant,
        out: list[Effect],
    ) -> bool:
        """What became of a deposit; whether this mailbox is to be left for a while."""
        spool = self._spools.get((room.id, lane.keys.tag))
        retry_s = said.retry_after_ms / 1000
        parcel = None if spool is None else spool.receipt(mailbox, said.msg_id, said.code, retry_s, now.mono_s)
        if spool is None or parcel is None:
            return False
        if said.code is None:
            if len(parcel.kept_by) >= self._links.targets(room, lane, now).enough:
                seq = spool.kept(parcel, now.mono_s)
                kept += [] if seq is None else [seq]
        elif said.code in (Refusal.QUOTA, Refusal.FULL) and room.mail.noticed_day != lane.epoch:
            room.mail.noticed_day = lane.epoch
            out.append(Noticed("mail-quota"))
        return said.code is Refusal.NOT_SERVING

    def _spool(self, room: Room, lane: Lane) -> Spool:
        key = (room.id, lane.keys.tag)
        found = self._spools.get(key)
        if found is None:
            found = self._spools[key] = Spool(lane, posts=room.secure)
        return found

    # ------------------------------------------------------------ what happens around it

    def fetched(self, room: Room, today: Lane, items: Iterable[Item], now: Instant, out: list[Effect]) -> None:
        """Own items that were read back for this."""
        room.mail.fetch = None
        room.outbox.fetching = False
        spool = self._spool(room, today)
        wanted = packing.still_wanted(room, spool, items, now)
        packing.pack_items(room, self._context, spool, wanted, now, out)

    def gone(self, box: Box, now: Instant) -> None:
        """A link to a mailbox is no more: what it was given goes out again, elsewhere or later."""
        spool = self._spools.get((box.room, box.lane.keys.tag))
        if spool is not None:
            spool.lost(box.peer_id, now.mono_s)

    def forget(self, room: RoomId) -> None:
        """Nothing of a room is on its way any more."""
        for key in [key for key in self._spools if key[0] == room]:
            del self._spools[key]

    def is_busy(self, room: RoomId) -> bool:
        """Whether something of a room is on its way."""
        return any(spool.parcels for key, spool in self._spools.items() if key[0] == room)

    def may_use_central(self, room: Room) -> bool:
        """Whether a room shows members' addresses to a server, if there is one."""
        return not self._guarded(room) and not room.joining

    def uses_central(self, room: Room) -> bool:
        """Whether the server can be given something of a room now."""
        return self._central.is_open and self.may_use_central(room)

    def central_kept(self, event: CentralKept, rooms: dict[RoomId, Room], now: Instant, out: list[Effect]) -> None:
        """The server answered."""
        found = self._central.asked(event.ticket)
        if found is None:
            return
        spool, parcel = found
        was_first = parcel.central_first
        room_id = next((key[0] for key, one in self._spools.items() if one is spool), None)
        room = None if room_id is None else rooms.get(room_id)
        is_kept = self._central.kept(event, now)
        if room is None:
            return
        seq = spool.kept(parcel, now.mono_s) if is_kept else None
        if is_kept and parcel.seq is None:
            room.mail.told.discard((parcel.deposit.msg_id, False))  # mailboxes still lack the letter
        if seq is not None:
            self.items_kept(room, [seq], Keeper.CENTRAL, spool.lane.epoch, now, out)
        elif not is_kept and was_first and parcel.seq is not None:
            spool.committee_first(parcel.seq)
            room.outbox.held_s.clear()
            self._context.wake("pump", room.id, now.mono_s)
        self._context.wake("mail", room.id, now.mono_s)
