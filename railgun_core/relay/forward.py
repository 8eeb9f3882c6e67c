"""The hot path: a run of envelope frames from one session, checked and forwarded in place.

Handled a whole read at a time. Each envelope costs one header unpack, one dictionary look-up and one insert; accepted
neighbours leave as one slice of the read they came in, the same bytes to every link: nothing is copied or encoded
again, except what is less than half of its read, because a slice keeps the whole. Measured by `railgun bench relay`.
This is the one place that trades plain code for speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId
from railgun_core.events import Effect, Send
from railgun_core.relay.duty import Duty
from railgun_core.relay.sessions import MemberSession, ReplicaSession
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES, ENVELOPE_HEADER, FrameBatch, Nack
from railgun_core.wire.kinds import FrameType, Refusal


@dataclass(slots=True)
class _Run:
    """Contiguous slices of one read."""

    data: bytes
    chunks: list[memoryview] = field(default_factory=list)
    start: int = -1
    stop: int = -1
    frames: int = 0

    def add(self, start: int, stop: int) -> None:
        if start != self.stop:
            self.cut()
            self.start = start
        self.stop = stop
        self.frames += 1

    def cut(self) -> None:
        if self.start >= 0:
            self.chunks.append(memoryview(self.data)[self.start : self.stop])
            self.start = -1

    def end(self) -> None:
        """That was all. Of less than half of the read a copy leaves: a link counts what waits, not the read."""
        self.cut()
        if _is_little(sum(map(len, self.chunks)), self.data):
            self.chunks = [memoryview(bytes(chunk)) for chunk in self.chunks]


def from_member(
    duty: Duty, session: MemberSession, batch: FrameBatch, index: int, now: Instant, out: list[Effect]
) -> int:
    """Take the envelopes of a member from frame `index` on; the index after the last one taken.

    Pushes to the members of this relay's slice, replicates to the other seats, refuses with a Nack. What is held
    already is replicated again and pushed to nobody: a hedged publication must reach a majority too. Other bytes under
    an id that is held are one envelope more: somebody else's, or what somebody put in its way.
    """
    data, bounds = batch.data, batch.bounds
    count, first = len(bounds) - 1, index
    granted = session.bucket.take(count - index, now.mono_s)
    spool, handle, unix_s = duty.spool, duty.handle, int(now.unix_s)
    frames, append, unpack = spool.frames, spool.order.append, ENVELOPE_HEADER.unpack_from
    remembers, room_bytes = spool.remembers, spool.max_bytes - spool.held_bytes
    fresh, again = _Run(data), _Run(data)
    again_ids: list[MsgId] = []
    refused: dict[Refusal, list[MsgId]] = {}
    mark, taken_bytes, used = len(spool.order), 0, 0
    while index < count:
        start, stop = bounds[index], bounds[index + 1]
        if stop - start not in ENVELOPE_FRAME_SIZES:
            break
        _, kind, tag_handle, expiry_s, msg_id = unpack(data, start)
        if kind != FrameType.ENVELOPE or tag_handle != handle:
            break
        index += 1
        if used >= granted:
            refused.setdefault(Refusal.RATE, []).append(msg_id)
        elif expiry_s <= unix_s:
            refused.setdefault(Refusal.EXPIRED, []).append(msg_id)
        elif msg_id in frames and spool.holds(msg_id, data, start, stop):
            used += 1
            again.add(start, stop)
            again_ids.append(msg_id)
        elif taken_bytes + stop - start > room_bytes:
            refused.setdefault(Refusal.FULL, []).append(msg_id)
        else:
            used += 1
            piece = (data, start, stop)
            if frames.setdefault(msg_id, piece) is not piece:
                spool.hold_beside(msg_id, piece)
            append(msg_id)
            taken_bytes += stop - start
            if remembers and spool.was_pushed_before(msg_id):
                again.add(start, stop)
            else:
                fresh.add(start, stop)
    if index == first:
        raise MalformedFrame("envelope")
    session.bucket.give_back(granted - used)
    fresh.end()
    again.end()
    if _is_little(taken_bytes, data):
        spool.copy_out(data, mark)
    _account(duty, taken_bytes, len(spool.order) - mark)
    duty.published += spool.order[mark:]
    duty.published += again_ids
    _push(duty, fresh, session, out)
    _replicate(duty, (*fresh.chunks, *again.chunks), used, out)
    session.taken += index - first
    session.marks.append((session.taken, len(duty.published)))
    for code, ids in refused.items():
        retry_ms = session.bucket.retry_after_ms(len(ids)) if code is Refusal.RATE else 1_000
        out.append(Send(session.link, (Nack(handle, code, retry_ms, tuple(ids[:4_000])).encode(),)))
    return index


def from_replica(duty: Duty, session: ReplicaSession, batch: FrameBatch, index: int, out: list[Effect]) -> int:
    """Take the replicas another relay sends, from frame `index` on; the index after the last one taken.

    Another seat has checked the rate; what does not fit in the spool is not counted as received, so the
    publisher never counts this seat as a holder of it.
    """
    data, bounds = batch.data, batch.bounds
    count, first = len(bounds) - 1, index
    spool, handle = duty.spool, duty.handle
    frames, append, unpack = spool.frames, spool.order.append, ENVELOPE_HEADER.unpack_from
    remembers, room_bytes = spool.remembers, spool.max_bytes - spool.held_bytes
    fresh = _Run(data)
    mark, taken_bytes = len(spool.order), 0
    while index < count:
        start, stop = bounds[index], bounds[index + 1]
        if stop - start not in ENVELOPE_FRAME_SIZES:
            break
        _, kind, tag_handle, _, msg_id = unpack(data, start)
        if kind != FrameType.ENVELOPE or tag_handle != handle:
            break
        index += 1
        if msg_id in frames and spool.holds(msg_id, data, start, stop):
            continue
        if taken_bytes + stop - start > room_bytes:
            session.full = True
            continue
        piece = (data, start, stop)
        if frames.setdefault(msg_id, piece) is not piece:
            spool.hold_beside(msg_id, piece)
        append(msg_id)
        taken_bytes += stop - start
        if not (remembers and spool.was_pushed_before(msg_id)):
            fresh.add(start, stop)
    if index == first:
        raise MalformedFrame("envelope")
    fresh.end()
    if _is_little(taken_bytes, data):
        spool.copy_out(data, mark)
    _account(duty, taken_bytes, len(spool.order) - mark)
    _push(duty, fresh, None, out)
    if session.open and not session.full:  # what came before it opened belongs to a session that was forgotten
        session.received += index - first
    return index


def from_post(duty: Duty, msg_id: MsgId, frame: bytes, out: list[Effect]) -> bool:
    """Take in one envelope that came without a session; False when the spool is full."""
    spool = duty.spool
    known = msg_id in spool.frames and spool.holds(msg_id, frame, 0, len(frame))
    if not known:
        if len(frame) > spool.max_bytes - spool.held_bytes:
            return False
        piece = (frame, 0, len(frame))
        if spool.frames.setdefault(msg_id, piece) is not piece:
            spool.hold_beside(msg_id, piece)
        spool.order.append(msg_id)
        _account(duty, len(frame), 1)
    run = _Run(frame)
    run.add(0, len(frame))
    run.end()
    duty.published.append(msg_id)
    if not known and not spool.was_pushed_before(msg_id):
        _push(duty, run, None, out)
    _replicate(duty, tuple(run.chunks), 1, out)
    return True


def _is_little(taken_bytes: int, data: bytes) -> bool:
    """Whether what was taken of a read would pin more than as much again of it, which nothing accounts for."""
    return 2 * taken_bytes < len(data)


def _account(duty: Duty, taken_bytes: int, envelopes: int) -> None:
    duty.spool.held_bytes += taken_bytes
    duty.envelopes += envelopes


def _push(duty: Duty, run: _Run, source: MemberSession | None, out: list[Effect]) -> None:
    if not run.chunks:
        return
    size = sum(len(chunk) for chunk in run.chunks)
    for session in duty.pushed:
        if session is not source:
            session.delivered += run.frames
            duty.relayed_bytes += size
            out.append(Send(session.link, run.chunks))


def _replicate(duty: Duty, chunks: tuple[memoryview, ...], count: int, out: list[Effect]) -> None:
    if not chunks:
        return
    size = sum(len(chunk) for chunk in chunks)
    position = len(duty.published)
    for replica in duty.replicas.values():
        if replica.open:
            replica.sent += count
            replica.marks.append((replica.sent, position))
            duty.relayed_bytes += size
            out.append(Send(replica.link, chunks))
