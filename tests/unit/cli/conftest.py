"""An engine's door with real sockets and an in-memory conversation behind it, in a thread of its own.

The command line runs in the test's thread (through click's runner) or as a real process, as people run it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from railgun_core.base.errors import UsageError
from railgun_core.local_api.handlers import Handler, call, stream
from railgun_core.local_api.messages import (
    MAX_PAGE_BYTES,
    Check,
    Doctor,
    Duties,
    Empty,
    Exposure,
    ExposureAsk,
    ExposureRole,
    InspectArgs,
    Inspection,
    Inspections,
    Invite,
    LogLines,
    LogsArgs,
    MailboxInfo,
    MailboxSet,
    MemberInfo,
    MemberRef,
    Members,
    MessageOut,
    Messages,
    ModeInfo,
    ModeSet,
    Outbox,
    PeerInfo,
    Peers,
    Price,
    PriceAsk,
    RelayPerformance,
    RoomCreate,
    RoomFollow,
    RoomInfo,
    RoomJoin,
    RoomRead,
    RoomRef,
    Rooms,
    RoomSecure,
    RoomSend,
    Safety,
    Sent,
    TelemetryAsk,
    TelemetryDay,
    TelemetrySet,
)
from railgun_core.local_api.server import ApiServer
from railgun_core.status import DutyState, DutyStatus, NodeStatus, State

ROOT = Path(__file__).parents[3]
NOTHING_OPEN = Outbox("ab12cd34")
NO_MAILBOX = MailboxInfo(False, 1_000_000_000, disk_free_bytes=12_000_000_000)
ONE_DAY = TelemetryDay(
    1_763_769_600.0,
    (
        RelayPerformance("0a1b2c3d", 1_200, 1_198, 2, 1, 50, 3_200),
        RelayPerformance("others", 3, 0, 0, 0, None, None),
    ),
    "nowhere",
    "p2p",
)
P2P = ModeInfo("p2p", ("127.0.0.1:7000",), True, (), False)
DUTY = DutyStatus("ab12", 7, DutyState.SERVING, 1, 5, 1.0e9, 1.0e9 + 60, 12.0, 3, 2.5, 40, 12)
STATUS = NodeStatus(
    revision=3,
    peer_id="c0" * 32,
    version="0.1.0",
    mode="p2p",
    state=State.RELAYING,
    reason="Relaying for 1 room",
    reachable=True,
    nat="none",
    peers=9,
    relays=8,
    groups=8,
    young_network=False,
    uptime_s=250.0,
    epoch_s=600,
    overlap_s=120,
    unix_s=1.0e9,
    roles=("relay",),
    duties=(DUTY,),
)


@dataclass
class Engine:
    """What the verbs work on. `stuck`: lines that never get stored."""

    said: list[bytes] = field(default_factory=list)
    requests: list[RoomSend] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    asked: list[object] = field(default_factory=list)
    no_mixes: str = ""  # why high security is not possible
    stuck: frozenset[bytes] = frozenset()
    inspections: tuple[Inspection, ...] = ()
    doctor_good: bool = True
    not_delivered: Outbox = NOTHING_OPEN
    mode_info: ModeInfo = P2P
    mailbox_info: MailboxInfo = NO_MAILBOX
    mailbox_refuses: str = ""
    performed: TelemetryDay = ONE_DAY
    under_way: int = 0
    most_under_way: int = 0
    loop: asyncio.AbstractEventLoop | None = None
    changed: asyncio.Event | None = None

    def _messages(self, after: int) -> list[MessageOut]:
        found: list[MessageOut] = []
        size = 0
        for index, body in enumerate(self.said[after : after + 1_000], after + 1):
            if found and size + len(body) > MAX_PAGE_BYTES:
                break
            found.append(MessageOut(index, "member", False, index, body, 1.0e9))
            size += len(body)
        return found

    def say(self, body: bytes) -> None:
        """A message arrives; callable from the test's thread."""

        def arrive() -> None:
            self.said.append(body)
            assert self.changed is not None
            self.changed.set()

        assert self.loop is not None
        self.loop.call_soon_threadsafe(arrive)

    async def send(self, args: RoomSend) -> Sent:
        if args.room != "Harbour":
            raise UsageError(f"There is no room called {args.room}.", code="no-such-room")
        first = len(self.said) + 1
        self.said.extend(args.lines)
        self.requests.append(args)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        missing = tuple((seq, seq) for seq, line in enumerate(args.lines, first) if line in self.stuck)
        reached = len(args.lines) - len(missing)
        return Sent(len(args.lines), reached, args.wait, first, len(self.said), len(missing), missing)

    async def read(self, args: RoomRead) -> Messages:
        after = max(0, len(self.said) - args.count) if args.since is None else args.since
        found = self._messages(after)[: args.count]
        return Messages("r1", tuple(found), found[-1].position if found else after)

    async def follow(self, args: RoomFollow) -> AsyncGenerator[Messages, None]:
        after = args.since
        assert self.changed is not None
        while True:
            if found := self._messages(after):
                after = found[-1].position
                yield Messages("r1", tuple(found), after)
            else:
                self.changed.clear()
                await self.changed.wait()

    async def create(self, args: RoomCreate) -> RoomInfo:
        return RoomInfo("ab" * 16, args.name, 1, 1.0e9)

    async def join(self, args: RoomJoin) -> RoomInfo:
        self.links.append(args.link)
        return RoomInfo("ab" * 16, "Harbour", 2, 1.0e9, waiting=True)

    async def info(self, args: RoomRef) -> RoomInfo:
        return RoomInfo("ab" * 16, args.room, 2, 1.0e9, left=True)

    async def invite(self, args: RoomRef) -> Invite:
        return Invite(args.room, "railgun:invite")

    async def rooms(self, _: Empty) -> Rooms:
        return Rooms((RoomInfo("ab" * 16, "Har\x1b[2Jbour", 2, 1.0e9),))

    async def members(self, args: RoomRef) -> Members:
        return Members(args.room, (MemberInfo("m1", True, 4, 4, 0.0, False), MemberInfo("m2", False, 3, 2, 1e9, False)))

    async def price(self, args: PriceAsk) -> Price:
        self.asked.append(args)
        gb_month = args.gb_month or 30.0
        return Price(args.room, 640.4, 1_380.0, gb_month, gb_month / 0.72, 0.5, 34, not self.no_mixes, self.no_mixes)

    async def secure(self, args: RoomSecure) -> RoomInfo:
        self.asked.append(args)
        return RoomInfo("ab" * 16, args.room, 2, 1.0e9, high_security=args.on)

    async def safety(self, args: MemberRef) -> Safety:
        digits = " ".join(f"{n:05d}" for n in range(12))
        return Safety("ab" * 16, args.member, digits, tuple(f"word{n}" for n in range(24)), "RAILGUN-SAFETY:1")

    async def remove(self, args: MemberRef) -> RoomInfo:
        self.asked.append(args)
        return RoomInfo("ab" * 16, args.room, 1, 1.0e9)

    async def exposure(self, args: ExposureAsk) -> Exposure:
        self.asked.append(args)
        learned = "Your internet address, and when 2 sessions were open."
        role = ExposureRole("guard", 3, (learned,), ("Which rooms you are in.",), {"sessions": 2})
        return Exposure(1_763_769_600.0, () if args.days_ago else (role,))

    async def telemetry(self, args: TelemetryAsk) -> TelemetryDay:
        self.asked.append(args)
        return self.performed

    async def outbox(self, _: RoomRef) -> Outbox:
        return self.not_delivered

    async def mode(self, _: Empty) -> ModeInfo:
        return self.mode_info

    async def set_mode(self, args: ModeSet) -> ModeInfo:
        self.asked.append(args)
        return self.mode_info

    async def mailbox(self, _: Empty) -> MailboxInfo:
        return self.mailbox_info

    async def set_mailbox(self, args: MailboxSet) -> MailboxInfo:
        self.asked.append(args)
        if self.mailbox_refuses and not args.kept:
            raise UsageError(self.mailbox_refuses, code="mail-inside")
        return self.mailbox_info

    async def set_telemetry(self, args: TelemetrySet) -> TelemetryDay:
        self.asked.append(args)
        return self.performed

    async def duties(self, _: Empty) -> Duties:
        return Duties((DUTY,), ())

    async def peers(self, _: Empty) -> Peers:
        return Peers(12, (PeerInfo("d1" * 32, "7f00", ("relay",), "x/1", 1.0e9, 1.0e9, 2),))

    async def status(self, _: Empty) -> NodeStatus:
        return STATUS

    async def inspect(self, _: InspectArgs) -> Inspections:
        return Inspections(self.inspections)

    async def doctor(self, _: Empty) -> Doctor:
        return Doctor((Check("reachable", self.doctor_good, "Others can reach this node."),))

    async def logs(self, args: LogsArgs) -> LogLines:
        return LogLines(('{"event":"started","level":"info","count":2}',)[: args.count])

    def table(self) -> dict[str, Handler]:
        return {
            "status": call(Empty, self.status),
            "room.create": call(RoomCreate, self.create),
            "room.list": call(Empty, self.rooms),
            "room.invite": call(RoomRef, self.invite),
            "room.join": call(RoomJoin, self.join),
            "room.leave": call(RoomRef, self.info),
            "room.members": call(RoomRef, self.members),
            "room.outbox": call(RoomRef, self.outbox),
            "mode.get": call(Empty, self.mode),
            "mailbox.get": call(Empty, self.mailbox),
            "mailbox.set": call(MailboxSet, self.set_mailbox),
            "telemetry.set": call(TelemetrySet, self.set_telemetry),
            "mode.set": call(ModeSet, self.set_mode),
            "room.send": call(RoomSend, self.send),
            "room.read": call(RoomRead, self.read),
            "room.follow": stream(RoomFollow, self.follow),
            "room.price": call(PriceAsk, self.price),
            "room.secure": call(RoomSecure, self.secure),
            "room.safety": call(MemberRef, self.safety),
            "room.remove": call(MemberRef, self.remove),
            "exposure": call(ExposureAsk, self.exposure),
            "telemetry": call(TelemetryAsk, self.telemetry),
            "duties": call(Empty, self.duties),
            "peers": call(Empty, self.peers),
            "inspect": call(InspectArgs, self.inspect),
            "doctor": call(Empty, self.doctor),
            "logs": call(LogsArgs, self.logs),
        }


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Verbs whose output is a report switch logging off for their process, which here is the tests'."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def engine(data_dir: Path) -> Iterator[Engine]:
    state = Engine()
    running, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        state.loop, state.changed = asyncio.get_running_loop(), asyncio.Event()
        stop = asyncio.Event()
        server = ApiServer(state.table())
        await server.start(data_dir)
        stops.append(stop)
        running.set()
        await stop.wait()
        await server.close()

    stops: list[asyncio.Event] = []
    thread = threading.Thread(target=lambda: (asyncio.run(serve()), ended.set()))
    thread.start()
    assert running.wait(10)
    yield state
    assert state.loop is not None
    state.loop.call_soon_threadsafe(stops[0].set)
    thread.join(10)
    assert ended.is_set()


@dataclass(frozen=True)
class Ran:
    """How one run ended."""

    status: int
    out: bytes
    err: str


class Cli:
    """Runs verbs in this process."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ran:
        import click

        from railgun_core.cli import main

        statuses: list[int] = []

        @click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
        @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
        def entry(rest: tuple[str, ...]) -> None:
            statuses.append(main(list(rest)))

        result = CliRunner().invoke(entry, ["--", "--data-dir", str(self.data_dir), *arguments], input=stdin)
        assert result.exception is None, result.exception
        return Ran(statuses[0], result.stdout_bytes, result.stderr)


@pytest.fixture
def cli(data_dir: Path) -> Cli:
    return Cli(data_dir)


def start_process(arguments: Sequence[str], **more: object) -> subprocess.Popen[bytes]:
    """The real program, as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "railgun_core", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,  # type: ignore[call-overload]
    )
