"""What of the server in memory the contract suite does not show: age, room and the order of answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from railgun_core.base.ids import MsgId, Tag, handle_of
from railgun_core.central.memory import MemoryCentral, MemoryServer
from railgun_core.central.port import MAX_AGE_S
from railgun_core.wire.frames import envelope_frame

TAG = Tag(b"t" * 32)


def frame(number: int) -> bytes:
    name = MsgId(number.to_bytes(16, "big"))
    return envelope_frame(handle_of(TAG), expiry_s=1, msg_id=name, envelope=bytes(256))


class Desk:
    """A server, a client and a queue of what comes later."""

    def __init__(self, *, capacity: int = 0) -> None:
        self.unix_s = 1_000.0
        self.calls: deque[Callable[[], None]] = deque()
        self.server = MemoryServer(lambda: self.unix_s, capacity=capacity)
        self.states: list[tuple[bool, str]] = []
        self.kept: list[tuple[int, str]] = []
        self.brought: list[bytes] = []
        self.client = MemoryCentral(
            self.server,
            later=self.calls.append,
            on_state=lambda up, code: self.states.append((up, code)),
            on_kept=lambda ticket, code: self.kept.append((ticket, code)),
            on_brought=lambda _tag, _position, frames: self.brought.extend(frames),
        )

    def run(self) -> None:
        while self.calls:
            self.calls.popleft()()


def test_nothing_is_answered_before_its_time() -> None:
    desk = Desk()
    desk.client.open()
    desk.client.keep(1, TAG, frame(1))
    assert desk.kept == []
    desk.run()
    assert desk.kept == [(1, "")]
    assert desk.states == [(True, "")]


def test_what_is_older_than_the_limit_is_gone() -> None:
    desk = Desk()
    desk.client.open()
    desk.client.keep(1, TAG, frame(1))
    desk.run()
    desk.unix_s += MAX_AGE_S - 1
    desk.client.keep(2, TAG, frame(2))
    desk.run()
    desk.unix_s += 2
    desk.client.follow([(TAG, 0)])
    desk.run()
    assert desk.brought == [frame(2)]


def test_a_full_server_says_so() -> None:
    desk = Desk(capacity=1)
    desk.client.open()
    for ticket in (1, 2):
        desk.client.keep(ticket, TAG, frame(ticket))
    desk.run()
    assert desk.kept == [(1, ""), (2, "full")]


def test_a_server_that_goes_between_question_and_answer_leaves_it_open_what_it_kept() -> None:
    desk = Desk()
    desk.client.open()
    desk.client.keep(1, TAG, frame(1))
    desk.calls.popleft()()  # it arrives
    desk.server.go_down()
    desk.run()
    assert desk.kept == [(1, "")] or desk.kept == [(1, "unreachable")]
    assert desk.server.after(TAG, 0) == [(1, frame(1))]


def test_a_client_of_a_server_that_is_down_finds_it_when_it_comes() -> None:
    desk = Desk()
    desk.server.go_down()
    desk.client.open()
    desk.client.keep(1, TAG, frame(1))
    desk.run()
    desk.server.come_up()
    desk.client.keep(2, TAG, frame(2))
    desk.run()
    assert desk.kept == [(1, "unreachable"), (2, "")]
    assert desk.states == [(False, "unreachable"), (True, "")]
