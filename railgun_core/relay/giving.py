"""What is given again: names to who asks what is held (PULL), envelopes to who names them (WANT).

A question is a few bytes and its answer may be megabytes, so a link is given only so much a second, and never more at
once than its queue takes. The rest is owed: what waits is no answer that is built already but what was asked for, of
each session at most OWED_IDS names and one position. A question that repeats what waits adds nothing to it. Sessions
of one link take turns; nobody has to ask twice.
"""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import LinkId, MsgId
from railgun_core.base.ratelimit import TokenBucket
from railgun_core.base.timers import Timers
from railgun_core.events import Effect, Send
from railgun_core.relay.duty import IDS_PER_WANT, WANT_BYTES, Duty, RelayLimits
from railgun_core.relay.links import LinkState, Session
from railgun_core.relay.sessions import MemberSession
from railgun_core.wire.frames import Pull, Want
from railgun_core.wire.kinds import MAX_FRAME_BYTES

OWED_IDS = 2 * IDS_PER_WANT  # a fellow has one WANT under way, a member fewer names than that
STEP_BYTES = 256 * 1024  # a link that waits is given so much in one step, not each envelope as soon as it may have it


class Giving:
    """The debts of all links."""

    def __init__(self, links: dict[LinkId, LinkState], timers: Timers[tuple[str, bytes]], limits: RelayLimits) -> None:
        self._links = links
        self._timers = timers
        self._limits = limits

    def asked(self, state: LinkState, duty: Duty, session: Session, question: Pull | Want) -> None:
        """Note what is asked for; `give` gives it. Of one WANT the first IDS_PER_WANT that are held."""
        owed = session.owed
        if isinstance(question, Pull):
            from_ = question.position
            owed.names_from = from_ if owed.names_from is None else min(from_, owed.names_from)
        else:
            held = [i for i in dict.fromkeys(question.ids) if i in duty.spool.frames][:IDS_PER_WANT]
            fresh = [msg_id for msg_id in held if msg_id not in owed.ids]
            owed.ids.update(dict.fromkeys(fresh[: OWED_IDS - len(owed.ids)]))
        if owed:
            state.owing[duty.handle] = None

    def due(self, name: bytes, now: Instant, out: list[Effect]) -> None:
        """The timer of a link that is owed something."""
        link = LinkId(int.from_bytes(name, "big"))
        state = self._links.get(link)
        if state is not None:
            self.give(link, state, now, out)

    def give(self, link: LinkId, state: LinkState, now: Instant, out: list[Effect]) -> None:
        """Give a link what it is owed, as far as its rate goes, and the rest later."""
        if state.given is None:
            state.given = TokenBucket(self._limits.given_bytes_per_s, WANT_BYTES, now_s=now.mono_s)
        left_bytes = state.given.take(WANT_BYTES, now.mono_s)
        while state.owing:
            handle = next(iter(state.owing))
            del state.owing[handle]
            found = state.sessions.get(handle)
            if found is None or not found[1].owed:
                continue  # that session has ended
            duty, session = found
            frames = _next(duty, session, left_bytes)
            if session.owed:
                state.owing[handle] = None
            if not frames:
                break
            left_bytes -= sum(map(len, frames))
            out.append(Send(link, frames))
        state.given.give_back(left_bytes)
        if state.owing:
            wait_s = state.given.retry_after_ms(STEP_BYTES) / 1_000
            self._timers.set(("give", link.to_bytes(8, "big")), now.mono_s + wait_s)


def _next(duty: Duty, session: Session, most_bytes: int) -> list[bytes]:
    """The next that a session is owed: a frame of names, or envelopes; nothing while `most_bytes` may be too few."""
    owed = session.owed
    if owed.names_from is not None:
        if most_bytes < MAX_FRAME_BYTES:
            return []
        have = duty.have(owed.names_from)
        owed.names_from = have.position if have.position < duty.spool.position else None
        return [have.encode()]
    ids: list[MsgId] = []
    firsts_bytes = 0
    for msg_id in owed.ids:
        firsts_bytes += duty.spool.size(msg_id)
        if firsts_bytes > most_bytes or len(ids) == IDS_PER_WANT:
            break
        ids.append(msg_id)
    for msg_id in ids:
        del owed.ids[msg_id]
    frames = duty.wanted_frames(ids, most_bytes=most_bytes)
    if isinstance(session, MemberSession):
        session.delivered += len(frames)
    else:
        session.sent += len(frames)
    duty.relayed_bytes += sum(map(len, frames))
    return frames
