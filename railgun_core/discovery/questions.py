"""Questions in flight: sending, repeating once, matching answers, learning tokens and round trips.

An answer counts only if it carries the request id of an open question, comes from the address that was asked, and is
signed by the id that was expected there. A CHALLENGE is answered by asking again with its token.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.keys import Identity
from railgun_core.base.rng import Rng
from railgun_core.discovery.datagrams import (
    MAX_DATAGRAM_BYTES,
    MIN_QUESTION_BYTES,
    REQUEST_ID_BYTES,
    Answer,
    Challenge,
    ContactInfo,
    Endpoint,
    Head,
    Question,
    decode_message,
    encode_datagram,
)
from railgun_core.discovery.round_trips import START_S, RoundTrips

MAX_OPEN = 2_048
SECOND_WAIT_S = 0.8  # long, because no lookup waits for a repeated question
BUSY_SECOND_WAIT_S = 2.5  # while answers come late: a starved machine at start-up, a full line
_BUSY_FOR_S = 10.0
_OWN_LAG_S = 0.025  # a timer this late means that our own process waits for its turn
_PATIENCE = 3
_GIVEN_UP_REMEMBERED = 256
TOKEN_LIFE_S = 590.0  # the answerer keeps a token for 600 to 1,200 s
_TOKENS_REMEMBERED = 4_096
UNPROVED_LIST_BYTES = 600  # room for 16 IPv4 contacts when we have no token yet

OnAnswer = Callable[[ContactInfo, Answer], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question for one endpoint, and whom to tell how it went. `expected_id` None: whoever answers there."""

    endpoint: Endpoint
    expected_id: bytes | None
    build: Callable[[bytes], Question]
    unproved_bytes: int = MIN_QUESTION_BYTES
    on_answer: OnAnswer
    on_slow: Callable[[], None] = lambda: None
    on_failed: Callable[[], None] = lambda: None


class _Open:
    __slots__ = ("asking", "challenged", "datagram", "patience", "repeated", "request_id", "sent_s", "timer")

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.request_id = b""
        self.datagram = b""
        self.sent_s = 0.0
        self.repeated = False
        self.patience = _PATIENCE
        self.challenged = False
        self.timer: asyncio.TimerHandle | None = None


class Questions:
    """Every question this node has open. Callbacks run in the loop's thread."""

    def __init__(
        self, identity: Identity, *, rng: Rng, clock: Callable[[], Instant], send: Callable[[bytes, Endpoint], None]
    ) -> None:
        self._identity = identity
        self._rng = rng
        self._clock = clock
        self._send = send
        self._open: dict[bytes, _Open] = {}
        self._given_up: OrderedDict[bytes, _Open] = OrderedDict()
        self._closed = False
        self._busy_until_s = 0.0
        self._tokens: OrderedDict[Endpoint, tuple[bytes, float]] = OrderedDict()
        self.round_trips = RoundTrips()
        self.on_alive: OnAnswer = lambda who, answer: None
        self.on_dead: Callable[[bytes, Endpoint], None] = lambda node_id, endpoint: None
        self.on_time: Callable[[ContactInfo, float, float], None] = lambda who, unix_s, asked_s: None

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, asking: Asking) -> None:
        """Send a question. Exactly one of on_answer and on_failed follows, within 3 s; 5 s on a starved machine."""
        question = _Open(asking)
        if self._closed or len(self._open) >= MAX_OPEN:
            asyncio.get_running_loop().call_soon(asking.on_failed)
            return
        self._launch(question)

    async def call(
        self,
        contact: ContactInfo,
        build: Callable[[bytes], Question],
        *,
        unproved_bytes: int = MIN_QUESTION_BYTES,
        anyone: bool = False,
    ) -> tuple[ContactInfo, Answer] | None:
        """One question and its answer; None when there is none."""
        done: asyncio.Future[tuple[ContactInfo, Answer] | None] = asyncio.get_running_loop().create_future()

        def answered(who: ContactInfo, answer: Answer) -> None:
            if not done.done():
                done.set_result((who, answer))

        def failed() -> None:
            if not done.done():
                done.set_result(None)

        self.ask(
            Asking(
                endpoint=contact.endpoint,
                expected_id=None if anyone else contact.id,
                build=build,
                unproved_bytes=unproved_bytes,
                on_answer=answered,
                on_failed=failed,
            )
        )
        return await done

    def knows(self, request_id: bytes) -> bool:
        """Whether a question with this id is open: the cheap check before a signature is verified."""
        return request_id in self._open or request_id in self._given_up

    def received(self, raw: bytes, head: Head, source: Endpoint) -> None:
        """A datagram that claims to answer us. MalformedFrame."""
        question = self._open.get(head.request_id)
        late = question is None
        if question is None:
            question = self._given_up.pop(head.request_id, None)
        if question is None or question.asking.endpoint != source:
            return
        answer = decode_message(raw, head)
        if not isinstance(answer, Answer):
            raise MalformedFrame("kind")
        who = ContactInfo(head.dht_id, *source)
        if late:
            self._too_late(question, who, answer)
            return
        if question.asking.expected_id not in (None, who.id):
            self._close(question)
            self._gone(question)
            return
        now = self._clock()
        self._remember_token(source, answer.token, now.mono_s)
        self._close(question)
        self._timed(source, now.mono_s - question.sent_s, now.mono_s)
        if isinstance(answer, Challenge):
            if question.challenged:
                self._gone(question)
                return
            question.challenged = True
            self._launch(question)
            return
        self.on_time(who, head.time_ms / 1000, question.sent_s)
        self.on_alive(who, answer)
        question.asking.on_answer(who, answer)

    def _timed(self, endpoint: Endpoint, seconds: float, now_s: float) -> None:
        self.round_trips.sample(endpoint, seconds)
        if seconds >= START_S:
            self._busy_until_s = now_s + _BUSY_FOR_S

    def _second_wait_s(self) -> float:
        return BUSY_SECOND_WAIT_S if self._clock().mono_s < self._busy_until_s else SECOND_WAIT_S

    def _too_late(self, question: _Open, who: ContactInfo, answer: Answer) -> None:
        """Nobody waits for it any more, but it shows that the node lives and how slow things are."""
        if question.asking.expected_id in (None, who.id):
            now_s = self._clock().mono_s
            self._timed(who.endpoint, now_s - question.sent_s, now_s)
            self.on_alive(who, answer)

    def forget_tokens(self) -> None:
        """This machine has another address: what was proved of the old one is worth nothing."""
        self._tokens.clear()

    def close(self) -> None:
        """Fail everything that is open, and whatever is asked from now on."""
        self._closed = True
        for question in list(self._open.values()):
            self._close(question)
            question.asking.on_failed()

    def _launch(self, question: _Open) -> None:
        now = self._clock()
        asking = question.asking
        token, issued_s = self._tokens.get(asking.endpoint, (b"", 0.0))
        if now.mono_s - issued_s > TOKEN_LIFE_S:
            token = b""
        question.request_id = self._rng.randbytes(REQUEST_ID_BYTES)
        question.datagram = encode_datagram(
            self._identity,
            asking.build(token),
            request_id=question.request_id,
            time_ms=int(now.unix_s * 1000),
            at_least=MIN_QUESTION_BYTES if token else min(asking.unproved_bytes, MAX_DATAGRAM_BYTES),
        )
        question.sent_s = now.mono_s
        self._open[question.request_id] = question
        wait_s = self.round_trips.timeout_s(asking.endpoint)
        question.timer = asyncio.get_running_loop().call_later(wait_s, self._late, question)
        self._send(question.datagram, asking.endpoint)

    def _late(self, question: _Open) -> None:
        loop, timer = asyncio.get_running_loop(), question.timer
        lag_s = loop.time() - timer.when() if timer is not None else 0.0
        if lag_s > _OWN_LAG_S and question.patience > 0:
            # The answer may wait in our own socket. Asking again would only add to the pile.
            question.patience -= 1
            question.timer = loop.call_later(START_S, self._late, question)
            return
        if not question.repeated:
            question.repeated = True
            question.timer = loop.call_later(self._second_wait_s(), self._late, question)
            self._send(question.datagram, question.asking.endpoint)
            question.asking.on_slow()
            return
        self._close(question)
        self._given_up[question.request_id] = question
        if len(self._given_up) > _GIVEN_UP_REMEMBERED:
            self._given_up.popitem(last=False)
        self._gone(question)

    def _gone(self, question: _Open) -> None:
        if question.asking.expected_id is not None:
            self.on_dead(question.asking.expected_id, question.asking.endpoint)
        question.asking.on_failed()

    def _close(self, question: _Open) -> None:
        self._open.pop(question.request_id, None)
        if question.timer is not None:
            question.timer.cancel()

    def _remember_token(self, endpoint: Endpoint, token: bytes, now_s: float) -> None:
        self._tokens[endpoint] = (token, now_s)
        self._tokens.move_to_end(endpoint)
        if len(self._tokens) > _TOKENS_REMEMBERED:
            self._tokens.popitem(last=False)
