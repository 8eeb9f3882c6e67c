"""The shape of the tree: what stands where, how long files get, and which edge the window sees of the core.

Read from the source text and its syntax trees, so that a module which does not import cannot hide here. The layer rules
inside the core are import-linter's (pyproject.toml); the two that depend on single modules are checked here.
"""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "railgun_core", "installers")
TOP_LEVEL = {*PACKAGES, "resources", "tests", "pyproject.toml", "README.md", "LICENSE", "requirements.lock"}
# Made by tools and ignored by git.
BY_TOOLS = {"__pycache__", "build", "dist"}
MAX_LINES = 500

# Tests of a library's behaviour or of a whole package, which no module of ours mirrors.
WITHOUT_MODULE = {"app/test_pyside_refcount.py"}

EDGE = {
    "railgun_core.__version__",
    "railgun_core.base.errors",
    "railgun_core.config",
    "railgun_core.local_api.client",
    "railgun_core.local_api.messages",
    "railgun_core.status",
}
PURE = ("base", "wire", "committee", "relay", "mailbox", "trust", "mix", "rooms", "changes", "events", "node")
IMPURE = {
    "asyncio",
    "logging",
    "os",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
}
IMPURE |= {"iroh", "kademlia", "nats", "PySide6", "qasync", "sqlalchemy", "structlog", "uvloop"}
ONLY_IN = {"iroh": "transport/", "kademlia": "discovery/", "rpcudp": "discovery/", "sqlalchemy": "store/"}
ONLY_IN |= {"alembic": "store/", "nats": "central/", "zeroconf": "discovery/"}


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project, without what git ignores and without dot folders made by tools."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name not in BY_TOOLS
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or (here == ROOT and name == ".ci"))
        ]
        found += [here / name for name in names if not name.endswith(".pyc")]
    return tuple(sorted(found))


def python_files(*folders: str) -> list[Path]:
    return [path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=named(path))


def imports_of(path: Path) -> Iterator[str]:
    """The dotted name of everything a file imports; `from a import b` gives `a.b`, which may be a module or a name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}:{node.lineno} imports relatively; name the module in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


def test_nothing_stands_at_the_top_level_but_what_the_design_card_names() -> None:
    there = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    there -= BY_TOOLS | {name for name in there if name.endswith(".egg-info")}
    assert there == TOP_LEVEL


def test_the_entry_point_of_the_build_machine_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def mirrored(test: Path) -> list[Path]:
    """The modules a unit test may stand for: `store/test_writer.py` and `store/test_writer_order.py` for `writer`."""
    *folders, name = test.relative_to(ROOT / "tests" / "unit").parts
    stem = name.removeprefix("test_").removesuffix(".py")
    base = (
        ROOT.joinpath(*folders) if folders[:1] and folders[0] in PACKAGES else ROOT.joinpath("railgun_core", *folders)
    )
    words = stem.split("_")
    stems = ["_".join(words[:length]) for length in range(len(words), 0, -1)]
    places = [base / f"{candidate}.py" for candidate in [*stems, *(f"__{stem}__" for stem in stems)]]
    return [place for place in [*places, *(base / candidate for candidate in stems)] if place.exists()]


def test_every_unit_test_mirrors_a_module() -> None:
    unit = ROOT / "tests" / "unit"
    tests = [path for path in project_files() if path.is_relative_to(unit) and path.name.startswith("test_")]
    alone = [path for path in tests if path.relative_to(unit).as_posix() not in WITHOUT_MODULE and not mirrored(path)]
    assert [named(path) for path in alone] == []


def test_every_attack_test_is_named_after_its_threat() -> None:
    attacks = ROOT / "tests" / "attacks"
    names = [path.name for path in project_files() if path.parent == attacks and path.name.startswith("test_")]
    assert [name for name in names if not re.fullmatch(r"test_b\d\d_[a-z0-9_]+\.py", name)] == []


def test_a_file_over_500_lines_is_named_in_the_decisions() -> None:
    decisions = ROOT / "railgun_core" / "DECISIONS.md"
    reasons = decisions.read_text(encoding="utf-8") if decisions.exists() else ""
    long = [path for path in python_files(*PACKAGES, "tests") if len(path.read_bytes().splitlines()) > MAX_LINES]
    assert [named(path) for path in long if named(path) not in reasons] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty_names = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert [named(path) for path in python_files(*PACKAGES) if {*path.with_suffix("").parts} & empty_names] == []


# Put together from parts, so that this file does not hold what it looks for.
FOREIGN = {
    "a folder of one person or machine": r"(?<![\w.~-])/(?:ho" + r"me|ro" + r"ot|wo" + r"rk|Us" + r"ers)/\w",
    "a Windows user's folder": r"[A-Za-z]:\\+Us" + r"ers\\",
    "a package registry": r"py" + r"pi\.org|python" + r"hosted|npm" + r"js|registry\.\w+\.\w+|fi" + r"le:///",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names_a_place_of_one_machine(what: str) -> None:
    pattern, found = re.compile(FOREIGN[what]), []
    for path in project_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{named(path)}:{number}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    assert found == []


def test_the_lock_pins_every_dependency_by_version_and_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, flags=re.MULTILINE))
    blocks = re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {re.split(r"[^A-Za-z0-9-]", line, maxsplit=1)[0].lower() for line in wanted}
    assert names <= pins.keys()
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock


def test_what_decides_imports_no_clock_socket_disk_or_chance() -> None:
    core = ROOT / "railgun_core"
    pure = [
        path for path in python_files("railgun_core") if path.relative_to(core).parts[0].removesuffix(".py") in PURE
    ]
    assert pure
    assert {named(path): sorted(roots_of(path) & IMPURE) for path in pure if roots_of(path) & IMPURE} == {}


def test_each_library_of_the_rim_stays_in_its_own_package() -> None:
    core = ROOT / "railgun_core"
    strays = [
        f"{named(path)}: {root}"
        for path in python_files("railgun_core")
        for root in sorted(roots_of(path) & ONLY_IN.keys())
        if not path.relative_to(core).as_posix().startswith(ONLY_IN[root])
    ]
    assert strays == []


def test_the_app_sees_only_the_edge_of_the_core() -> None:
    strays = []
    for path in python_files("app"):
        allowed = EDGE | {"railgun_core.cli"} if named(path) == "app/__main__.py" else EDGE
        inside = [name for name in imports_of(path) if name.partition(".")[0] == "railgun_core"]
        strays += [f"{named(path)}: {name}" for name in inside if not {name, name.rpartition(".")[0]} & allowed]
    assert strays == []


def test_the_window_never_opens_a_loop_of_its_own() -> None:
    banned = {"exec", "exec_", "processEvents"}
    found = [
        f"{named(path)}:{node.lineno} {node.func.attr}"
        for path in python_files("app")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in banned
    ]
    assert found == []
