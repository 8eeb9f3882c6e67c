"""`railgun room secure | price | safety | remove`: what protects a room, said before it is done.

Switching high security on costs data and time, so the price is shown first and somebody has to agree: a person at a
terminal, or `--yes`. Without either nothing is changed, and the sentence on stderr holds the price.
"""

from __future__ import annotations

import sys

import click
import msgspec

from railgun_core.base.errors import RailGunError, UsageError
from railgun_core.cli.frame import Place, ask, common
from railgun_core.cli.outcome import print_json
from railgun_core.cli.tables import counted, pairs, plain
from railgun_core.local_api.messages import (
    MemberRef,
    Members,
    Price,
    PriceAsk,
    RoomInfo,
    RoomRef,
    RoomSecure,
    Safety,
)

_DIGIT_GROUPS_A_LINE = 4
_WORDS_A_LINE = 6
_budget_option = click.option(
    "--budget-gb", type=click.FloatRange(0.1, 10_000), help="Data a month for high-security rooms, both directions."
)
_yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.command()
@click.argument("room_name", metavar="ROOM")
@_budget_option
@common
def price(place: Place, room_name: str, budget_gb: float | None) -> int:
    """What high security would cost ROOM now: added delay and data. Exit 1 when it is not possible now."""
    found = ask(place, "room.price", PriceAsk(room_name, budget_gb), Price)
    if place.json:
        print_json(found)
    else:
        click.echo(_price_table(found))
    if not found.possible:
        click.echo(f"railgun: {_impossible(found)}", err=True)
        return RailGunError.exit_status
    return 0


@click.command()
@click.argument("room_name", metavar="ROOM")
@click.argument("switch", type=click.Choice(["on", "off"]))
@_budget_option
@_yes_option
@common
def secure(place: Place, room_name: str, switch: str, budget_gb: float | None, yes: bool) -> int:
    """Switch high security of ROOM on or off. On: the price comes first, and you are asked."""
    if switch == "off":
        if budget_gb is not None:
            raise UsageError("A budget belongs to `secure ROOM on`.")
        info = ask(place, "room.secure", RoomSecure(room_name, False), RoomInfo)
        _told(place, info, None, "High security is off in")
        return 0
    found = ask(place, "room.price", PriceAsk(room_name, budget_gb), Price)
    if not found.possible:
        raise RailGunError(_impossible(found), code="not-possible")
    if not place.json:
        click.echo(_price_table(found))
    if not yes and not _agreed(place, "Switch high security on?", f"{_price_sentence(found)}, so it needs --yes."):
        click.echo("Nothing was changed.", err=True)
        return RailGunError.exit_status
    info = ask(place, "room.secure", RoomSecure(room_name, True, budget_gb), RoomInfo)
    _told(place, info, found, "High security is on in")
    return 0


@click.command()
@click.argument("room_name", metavar="ROOM")
@click.argument("member", required=False)
@common
def safety(place: Place, room_name: str, member: str | None) -> int:
    """The safety number of you and MEMBER, or of you and each member: compare it where nobody can change it."""
    chosen = [member] if member is not None else _others(place, room_name)
    found = [ask(place, "room.safety", MemberRef(room_name, one), Safety) for one in chosen]
    if place.json:
        print_json({"room": room_name, "safety": found})
        return 0
    if not found:
        click.echo("You are alone in this room.")
    for index, one in enumerate(found):
        click.echo(("\n" if index else "") + safety_text(one))
        if sys.stdout.isatty():
            _show_qr(one.qr)
    return 0


@click.command()
@click.argument("room_name", metavar="ROOM")
@click.argument("member")
@_yes_option
@common
def remove(place: Place, room_name: str, member: str, yes: bool) -> int:
    """Remove MEMBER from ROOM: those who stay get new keys, and MEMBER opens nothing that is sent from then on."""
    consequence = "Removing a member cannot be undone but by a new invite"
    if not yes and not _agreed(place, f"Remove {plain(member)}? {consequence}.", f"{consequence}, so it needs --yes."):
        click.echo("Nothing was changed.", err=True)
        return RailGunError.exit_status
    info = ask(place, "room.remove", MemberRef(room_name, member), RoomInfo)
    if place.json:
        print_json(info)
    else:
        click.echo(f"Removed {plain(member)} from {plain(info.name)}; {counted(info.members, 'member')} now.")
    return 0


def safety_text(number: Safety) -> str:
    """The number as digits and as words, in lines that are read out easily."""
    groups = number.digits.split()
    digits = _lines(groups, _DIGIT_GROUPS_A_LINE)
    words = _lines(number.words, _WORDS_A_LINE)
    return "\n".join([f"You and {plain(number.member)}", *digits, "", *words])


def _lines(parts: list[str] | tuple[str, ...], each: int) -> list[str]:
    return ["  " + plain(" ".join(parts[at : at + each])) for at in range(0, len(parts), each)]


def _show_qr(text: str) -> None:
    import segno  # only who looks at it pays for it

    segno.make(text, micro=False).terminal(out=sys.stdout, compact=True)


def _others(place: Place, room_name: str) -> list[str]:
    members = ask(place, "room.members", RoomRef(room_name), Members).members
    return [one.member for one in members if not one.me and not one.left]


def _agreed(place: Place, question: str, refusal: str) -> bool:
    """A person's yes. UsageError with `refusal` where nobody can be asked."""
    if place.json or not sys.stdin.isatty():
        raise UsageError(refusal, code="needs-yes")
    return click.confirm(question, default=False, err=True)


def _told(place: Place, info: RoomInfo, found: Price | None, verb: str) -> None:
    if place.json:
        fields = msgspec.to_builtins(info)
        print_json(fields if found is None else {**fields, "price": found})
    else:
        click.echo(f"{verb} {plain(info.name)} ({info.room[:10]}).")


def _impossible(found: Price) -> str:
    return f"High security is not possible now: {plain(found.why) or 'mixes or guards are missing'}"


def _price_sentence(found: Price) -> str:
    delay = f"{_delay(found.added_ms_p50)} (95 %: {_delay(found.added_ms_p95)})"
    return f"High security adds {delay} and costs {found.gb_month:,.1f} GB a month, {found.mb_hour:,.1f} MB an hour"


def _delay(added_ms: float) -> str:
    return f"{added_ms:,.0f} ms" if added_ms >= 0 else "without end"


def _price_table(found: Price) -> str:
    rows = [
        ("Added delay", f"p50 {_delay(found.added_ms_p50)}, p95 {_delay(found.added_ms_p95)}"),
        ("Data", f"{found.gb_month:,.1f} GB a month, {found.mb_hour:,.1f} MB an hour, both directions"),
        ("Packets", f"{found.packets_per_s:,.2f} a second, the same whether you write or not"),
        ("Mixes", f"{counted(found.mixes, 'mix', 'mixes')} known"),
    ]
    if found.why:
        rows.append(("Note", found.why))
    return pairs(rows)
