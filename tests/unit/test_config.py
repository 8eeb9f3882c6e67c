"""One declaration per option: defaults, file, flags, limits, and the sentence for every wrong value."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.errors import UsageError
from railgun_core.config import OPTIONS, Config, HostPort, config_table, load_config, save_options


def test_every_field_is_declared_once_with_help_and_a_valid_default(tmp_path: Path) -> None:
    names = [field.name for field in dataclasses.fields(Config)]
    assert [option.name for option in OPTIONS] == names[1:-1]
    assert len({option.flag for option in OPTIONS}) == len(OPTIONS)
    for option in OPTIONS:
        assert option.help.endswith("."), option.name
        assert (option.low is None) == (option.high is None), option.name
    assert Config(data_dir=tmp_path) == load_config(tmp_path)


def test_the_defaults_are_those_of_the_protocol(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    assert (config.epoch_s, config.overlap_s, config.committee_size, config.puzzle_bits) == (600, 120, 5, 14)
    assert (config.mode, config.transports, config.roles) == ("p2p", ("tls", "quic"), ("relay", "mix"))
    assert (config.listen, config.bootstrap) == (HostPort("0.0.0.0", 0), ())


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('epoch_s = 60\ncommittee_size = 7\nbootstrap = ["127.0.0.1:5"]\n')
    config = load_config(tmp_path, {"epoch_s": "30", "lan": None})
    assert (config.epoch_s, config.overlap_s, config.committee_size, config.lan) == (30, 6, 7, True)
    assert config.bootstrap == (HostPort("127.0.0.1", 5),)


def test_unknown_keys_are_reported_and_kept_when_options_are_saved(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('future = "x"\nepoch_s = 60\n[deep]\na = 1\n')
    assert load_config(tmp_path).unknown_keys == ("deep", "future")
    saved = save_options(tmp_path, {"epoch_s": 90, "bootstrap": (HostPort("::1", 9),), "lan": False})
    again = load_config(tmp_path)
    assert (again.epoch_s, again.bootstrap, again.lan) == (90, (HostPort("::1", 9),), False)
    assert again.unknown_keys == ("deep", "future")
    assert saved.epoch_s == 90
    assert save_options(tmp_path, {"epoch_s": None}).epoch_s == 600


def test_a_wrong_value_is_not_saved(tmp_path: Path) -> None:
    save_options(tmp_path, {"epoch_s": 90})
    with pytest.raises(UsageError):
        save_options(tmp_path, {"epoch_s": 1})
    assert load_config(tmp_path).epoch_s == 90


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("mode", "star", "--mode knows p2p, full, hybrid, not 'star'."),
        ("roles", "relay,turn", "--roles turn is not in this version; it knows relay, mix, mailbox, bootstrap."),
        ("secure_gb_month", 0, "--secure-gb-month must be 0.1 to 10,000 GB/month, not 0."),
        ("cover_gb_month", "much", "--cover-gb-month must be a number, not 'much'."),
        ("cover_gb_month", "inf", "--cover-gb-month must be a number, not 'inf'."),
        ("transports", "webrtc", "--transport webrtc is not in this version; it knows quic, tls."),
        ("transports", "", "--transport needs at least one of quic, tls."),
        ("epoch_s", 1, "--epoch-s must be 2 to 86,400 s, not 1."),
        ("epoch_s", True, "--epoch-s must be a whole number, not True."),
        ("epoch_s", 1.5, "--epoch-s must be a whole number, not 1.5."),
        ("epoch_s", "9" * 5_000, None),
        ("overlap_s", 400, "overlap_s may be half of epoch_s at most: 300 s."),
        ("committee_size", 8, "--committee-size must be 3 to 7 seats, not 8."),
        ("lan", "maybe", "--lan must be on or off, not 'maybe'."),
        ("lan", 1, "--lan must be on or off, not 1."),
        ("listen", "here", "--listen: 'here' is no HOST:PORT."),
        ("listen", 5, "--listen must be HOST:PORT, not 5."),
        ("bootstrap", ["a:1", 7], "--bootstrap must be HOST:PORT, not 7."),
        ("nonsense", 1, "There is no option called nonsense."),
    ],
)
def test_a_wrong_value_is_one_sentence_and_exit_2(tmp_path: Path, name: str, value: object, says: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {name: value})
    assert caught.value.exit_status == 2
    assert "\n" not in caught.value.detail
    assert says in (None, caught.value.detail)


def test_mode_full_keeps_configured_entries_for_later_and_uses_none(tmp_path: Path) -> None:
    full = load_config(tmp_path, {"mode": "full", "bootstrap": "127.0.0.1:5"})
    assert (full.bootstrap, full.entries) == ((HostPort("127.0.0.1", 5),), ())
    assert load_config(tmp_path, {"bootstrap": "127.0.0.1:5"}).entries == full.bootstrap


def test_mode_hybrid_needs_a_server_and_says_so_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^Mode hybrid needs a central server: name one with --central HOST:PORT\.$"):
        load_config(tmp_path, {"mode": "hybrid"})
    hybrid = load_config(tmp_path, {"mode": "hybrid", "central": "127.0.0.1:4222", "bootstrap": "127.0.0.1:5"})
    assert hybrid.central == (HostPort("127.0.0.1", 4222),)
    assert hybrid.entries == hybrid.bootstrap


def test_lists_may_be_repeated_flags_text_with_commas_or_toml_lists(tmp_path: Path) -> None:
    expected = (HostPort("a", 1), HostPort("b", 2))
    for given_as in ("a:1,b:2", ("a:1", "b:2"), ["a:1, b:2"], expected, ("a:1", "b:2", "a:1")):
        assert load_config(tmp_path, {"bootstrap": given_as}).bootstrap == expected
    assert load_config(tmp_path, {"roles": "none"}).roles == ()


def test_a_file_that_is_no_toml_says_so(tmp_path: Path) -> None:
    for broken in (b"epoch_s = ", b"\xff\xfe"):
        (tmp_path / "config.toml").write_bytes(broken)
        with pytest.raises(UsageError) as caught:
            load_config(tmp_path)
        assert caught.value.detail.startswith("config.toml is not valid TOML")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:0", "::1", 0),
        (":7", "0.0.0.0", 7),
        ("a.example:65535", "a.example", 65_535),
    ],
)
def test_a_place_is_read_and_written_the_same(text: str, host: str, port: int) -> None:
    place = HostPort.parse(text)
    assert place == HostPort(host, port)
    assert HostPort.parse(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "a", "a:", "a:b", "a:-1", "a:65536", "a:1:2", "::1", "a b:1", "[::1:5", "x@y:1", "a:１"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        HostPort.parse(text)


@given(
    st.sampled_from([option.name for option in OPTIONS]),
    st.one_of(
        st.text(),
        st.integers(),
        st.floats(),
        st.none(),
        st.booleans(),
        st.lists(st.text(max_size=5), max_size=3),
        st.dictionaries(st.text(), st.integers(), max_size=1),
    ),
)
def test_any_value_is_taken_or_refused_with_a_sentence(name: str, value: object) -> None:
    try:
        config = load_config(Path("/nowhere/at/all"), {name: value})
    except UsageError:
        return
    assert getattr(config, name) is not None


def test_the_table_names_every_option() -> None:
    table = config_table()
    for option in OPTIONS:
        assert f"| `{option.name}` | `{option.flag}` |" in table
