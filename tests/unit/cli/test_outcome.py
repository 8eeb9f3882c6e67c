"""Exit statuses, sentences and the one JSON object, for every way a verb can end."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from railgun_core import __version__

from .conftest import Cli, Engine, start_process

READ_ONLY = (["status"], ["duties"], ["peers"], ["doctor"], ["logs"], ["room", "list"], ["room", "members", "Harbour"])


@pytest.mark.parametrize("verb", READ_ONLY, ids=" ".join)
def test_a_verb_prints_exactly_one_json_object_and_nothing_on_stderr(cli: Cli, engine: Engine, verb: list[str]) -> None:
    ran = cli(*verb, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert isinstance(json.loads(ran.out), dict)
    assert ran.out.count(b"\n") == 1


@pytest.mark.parametrize("verb", READ_ONLY, ids=" ".join)
def test_a_verb_prints_plain_text_without_control_characters(cli: Cli, engine: Engine, verb: list[str]) -> None:
    ran = cli(*verb)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.strip()
    assert b"\x1b" not in ran.out


@pytest.mark.parametrize("verb", [v for v in READ_ONLY if v != ["doctor"]], ids=" ".join)
def test_without_an_engine_a_verb_ends_with_3_and_one_sentence(cli: Cli, verb: list[str]) -> None:
    ran = cli(*verb)
    assert (ran.status, ran.out) == (3, b"")
    assert ran.err == "railgun: No engine is running on this data directory; start one with: railgun node.\n"


def test_without_an_engine_json_is_still_one_object(cli: Cli) -> None:
    ran = cli("status", "--json")
    assert ran.status == 3
    assert json.loads(ran.out)["error"]["code"] == "no-engine"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["status", "--nope"],
        ["status", "extra"],
        ["room"],
        ["room", "nope"],
        ["room", "send"],
        ["room", "send", "r", "--wait", "never"],
        ["room", "read", "r", "--count", "-1"],
        ["room", "read", "r", "--follow", "--json"],
        ["logs", "--follow", "--json"],
        ["inspect", "committee"],
        ["inspect", "committee", "--room", "a", "--tag", "b"],
        ["node", "--mode", "hybrid"],
        ["mode", "star"],
        ["mode", "full", "--central", "127.0.0.1:4222"],
        ["node", "--listen", "nowhere"],
        ["node", "--roles", "introducer"],
        ["node", "--epoch-s", "soon"],
        ["node", "--committee-size", "9"],
        ["demo", "--peers", "0"],
        ["demo", "--peers", "2", "--members", "3"],
        ["demo", "--transport", "webrtc"],
        ["sim", "--seeds", "3..1"],
        ["sim", "--seed", "1", "--seeds", "1..2"],
        ["sim", "--partition", "5"],
        ["bench", "relay", "--vs", "carrier-pigeon"],
        ["bench", "transport", "--rounds", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_one_sentence(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments)
    assert ran.status == 2
    assert "Traceback" not in ran.err
    if arguments != ["room"]:  # a group without a verb shows its help
        assert ran.err.startswith("railgun: ")
        assert ran.err.count("\n") == 1


def test_an_answer_of_another_exit_status_is_passed_on(cli: Cli, engine: Engine) -> None:
    ran = cli("room", "send", "Nowhere", "hi")
    assert (ran.status, ran.err) == (2, "railgun: There is no room called Nowhere.\n")


def test_the_data_dir_may_come_before_or_after_the_verb(cli: Cli, engine: Engine, data_dir: Path) -> None:
    elsewhere = Cli(data_dir.parent / "elsewhere")
    assert elsewhere("status").status == 3
    assert elsewhere("status", "--data-dir", str(data_dir)).status == 0
    assert elsewhere("room", "--data-dir", str(data_dir), "list").status == 0
    assert elsewhere("room", "list", "--data-dir", str(data_dir)).status == 0


def test_doctor_names_what_is_wrong(cli: Cli, engine: Engine) -> None:
    engine.doctor_good = False
    ran = cli("doctor", "--json")
    assert ran.status == 1
    found = json.loads(ran.out)
    assert found["good"] is False
    assert [check["name"] for check in found["checks"] if not check["good"]] == ["reachable"]


def test_doctor_without_an_engine_still_checks_what_it_can(cli: Cli) -> None:
    ran = cli("doctor", "--json")
    assert ran.status == 3
    bad = [check["name"] for check in json.loads(ran.out)["checks"] if not check["good"]]
    assert bad == ["engine"]


def test_the_node_gets_the_options_of_the_command_line(
    cli: Cli, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    engine = types.ModuleType("railgun_core.local_api.service")
    engine.run = lambda config, teller: seen.append(config) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "railgun_core.local_api.service", engine)
    data_dir.mkdir()
    (data_dir / "config.toml").write_text("epoch_s = 60\nlan = false\nfrom_the_future = 1\n")
    bootstrap = ["--bootstrap", "127.0.0.1:7001", "--bootstrap", "127.0.0.1:7002"]
    ran = cli("node", *bootstrap, "--roles", "relay,bootstrap", "--transport", "tls", "--epoch-s", "30")
    assert ran.status == 0
    assert "from_the_future" in ran.err
    (config,) = seen
    assert [str(place) for place in config.bootstrap] == ["127.0.0.1:7001", "127.0.0.1:7002"]
    assert (config.epoch_s, config.overlap_s, config.lan, config.transports) == (30, 6, False, ("tls",))
    assert config.data_dir == data_dir


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ({"lost": 0, "duplicated": 0, "out_of_order": 0, "latency_ms": {"p50": 1.5}}, 0),
        ({"lost": 1, "duplicated": 0, "out_of_order": 0}, 1),
        ({"lost": 0, "duplicated": 2, "out_of_order": 0}, 1),
        ({"lost": 0, "duplicated": 0, "out_of_order": 3}, 1),
        ({"lost": 0, "failed": "a peer did not start"}, 1),
        ({"runs": [{"seed": 1, "lost": 0}, {"seed": 2, "lost": 4}]}, 1),
    ],
)
def test_a_bad_report_ends_with_1(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, report: dict[str, object], status: int
) -> None:
    demo = types.ModuleType("railgun_core.demo")
    demo.run = lambda _: report  # type: ignore[attr-defined]
    import railgun_core.demo.options

    demo.options = railgun_core.demo.options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "railgun_core.demo", demo)
    ran = cli("demo", "--json")
    assert ran.status == status
    assert json.loads(ran.out) == report
    assert ran.err.count("\n") == status
    assert cli("demo").status == status


def test_a_mistake_of_ours_is_one_sentence_with_its_place(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = types.ModuleType("railgun_core.local_api.service")

    def run(*_: object) -> int:
        raise ZeroDivisionError("secret")

    broken.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "railgun_core.local_api.service", broken)
    ran = cli("node")
    assert ran.status == 1
    assert ran.err.startswith("railgun: A mistake in this program: ZeroDivisionError at test_outcome.py:")
    assert ran.err.count("\n") == 1


def test_the_version_is_shown() -> None:
    process = start_process(["--version"])
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out.decode().strip(), err) == (0, f"railgun {__version__}", b"")


def test_status_starts_fast(engine: Engine, data_dir: Path) -> None:
    used = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = start_process(["status", "--json", "--data-dir", str(data_dir)])
        out, err = process.communicate(timeout=30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (process.returncode, err) == (0, b"")
        assert json.loads(out)["peer_id"] == "c0" * 32
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used) < 0.6, used  # 0.2 to 0.3 s where nothing else runs


def test_nothing_heavy_is_imported_for_status(engine: Engine, data_dir: Path) -> None:
    script = (
        "import sys; from railgun_core.cli import main; main(['status', '--data-dir', sys.argv[1]]);"
        "heavy = {'cryptography', 'nacl', 'sqlalchemy', 'iroh', 'kademlia', 'structlog', 'PySide6', 'zeroconf'};"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], stderr=subprocess.PIPE, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_is_no_error(engine: Engine, data_dir: Path) -> None:
    engine.said = [b"x" * 1_000] * 5_000
    process = start_process(["room", "read", "Harbour", "--data-dir", str(data_dir)])
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"x" * 1_000 + b"\n"
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()
    process.stdin.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to one process is a matter of POSIX")
def test_ctrl_c_while_a_pipe_is_silent_ends_quietly_with_130(engine: Engine, data_dir: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it, and so
    try:  # would its child
        process = start_process(["room", "send", "Harbour", "--data-dir", str(data_dir)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"one\ntwo\n")
    process.stdin.flush()
    wait_for(lambda: engine.said == [b"one", b"two"])  # a line is sent as it comes, without the end of the pipe
    process.send_signal(signal.SIGINT)
    assert (process.wait(30), process.stderr.read()) == (130, b"")
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
