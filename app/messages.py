"""All words the app says, in one place. Pure: the translator is handed in by the composition root.

Every sentence passes through `tr`, so a translation file can replace it; values are named, never joined by hand.
An error code this page does not know falls back to the engine's own sentence.
"""

from __future__ import annotations

from collections.abc import Callable

Translator = Callable[[str], str]

_translate: Translator = str


def use_translator(translator: Translator) -> None:
    """Say every sentence through `translator` from now on (the composition root hands in Qt's)."""
    global _translate
    _translate = translator


def tr(text: str, /, **values: object) -> str:
    """`text` in the person's language, with its named values filled in."""
    translated = _translate(text)
    return translated.format(**values) if values else translated


def tr_count(one: str, many: str, count: int) -> str:
    """One of two sentences by count; both may name `{n}`."""
    return tr(one if count == 1 else many, n=grouped(count))


def grouped(count: int) -> str:
    """A whole number with thin groups: `1 204`."""
    return f"{count:,}".replace(",", "\u202f")


APP_NAME = "Rail Gun Relay"

# What went wrong -> (what happened, what to do). Codes are the engine's and never change.
_ERRORS: dict[str, tuple[str, str]] = {
    "no-engine": ("The engine does not answer.", "It is being started again; try once more in a moment."),
    "timeout": ("No answer in time.", "Try again; if it stays so, look at Network."),
    "bad-invite": ("This is no invite link.", "Ask for a new one; it starts with railgun://join/."),
    "bad-link": ("This is no invite link.", "Ask for a new one; it starts with railgun://join/."),
    "no-such-room": ("There is no such room here.", "It may have been left in another window."),
    "room-exists": ("A room with this name exists.", "Choose another name."),
    "no-such-committee": ("The records of this committee are not kept here.", "Past epochs are dropped after a while."),
    "already-joined": ("You are in this room already.", "It is in the list on the left."),
    "bad-name": ("This name cannot be used.", "Use letters, digits and spaces."),
    "invite-expired": ("This invite link is no longer valid.", "Ask for a new one."),
    "room-left": ("This room has been left.", "Join again with a new invite link."),
    "too-long": ("The message is too long.", "Send it in smaller parts."),
    "outbox-full": ("Too many messages are waiting.", "Wait until some are stored, then send again."),
    "database-read-only": ("The database is read-only.", "Check the rights of the data folder."),
    "disk-full": ("The disk is full.", "Free some space; nothing that was stored is lost."),
    "port-taken": ("The network port is taken.", "Another relay may be running; stop it or choose another port."),
    "not-possible": ("High security is not possible now.", "Too few mixes or guards are known; try again later."),
    "room-is-changing": ("Another removal is under way in this room.", "Try again in a moment."),
    "no-key-yet": ("There is no safety number yet.", "It appears once that member was heard of."),
    "no-such-member": ("That member is not in the room any more.", "Open the list of members again."),
    "unwritable": ("The data folder cannot be written.", "Nothing was changed; check its rights."),
    "already-running": ("A relay is already running on this data folder.", "Use that one."),
}


_NOTICES: dict[str, str] = {
    "joined": "Joined the network: the first peers answered.",
    "alone": "No other peer answers.",
    "bootstrap-unreachable": "A starting point of the network does not answer.",
    "database-repaired": "The database was damaged and has been repaired.",
    "member-joined": "A member joined one of your rooms.",
    "member-left": "A member left one of your rooms.",
    "member-removed": "A member was removed from one of your rooms.",
    "you-were-removed": "You were removed from one of your rooms: nothing new arrives there.",
    "new-device-key": (
        "The data was put back from an older copy, so this device took new keys. Compare safety numbers again."
    ),
    "database-lost": "The database could not be read. It was set aside, and a new one was begun.",
    "member-new-key": "A member uses a new key. Compare safety numbers before you trust it.",
    "relay-lost": "A relay of one of your rooms stopped answering; another takes over.",
    "relay-died": "A relay has been silent for half a minute, by the word of two others; a standby serves for it.",
    "mail-quota": "A mailbox is full for one of your rooms: it takes nothing more until members have been there.",
    "mail-evicted": "A mailbox could not keep some messages for somebody who was away; their senders send them again.",
    "mail-kept": "Messages are kept in mailboxes for a member who is away.",
    "committee-gone": "No relay of one of your rooms answers; messages go another way.",
    "slept": "This computer slept or stood still: all links were opened anew, and what was missed was fetched.",
    "moved": "This computer's address changed: all links were opened anew.",
    "relay-convicted": "A relay signed two different stories of what it got. This device does not use it again.",
    "disk-low": "The disk is almost full: nothing new is kept for people who are away.",
    "disk-has-room": "The disk has room again.",
    "clock-corrected": "This computer's clock is off; the network's time is used.",
    "clock-wrong": "This computer's clock is off by more than two minutes: it relays for nobody until that is mended.",
    "clock-right": "This computer's clock is right again.",
    "central-down": "The central server does not answer.",
    "central-up": "The central server answers again.",
    "bootstrap-not-used": "In full mode the configured starting points are not used; they stay in the settings.",
    "internal": "Something unexpected happened in the engine; it goes on.",
}


def notice_sentence(code: str, fallback: str) -> str:
    """What happened, for the list of notices; a code unknown here is looked up among the errors."""
    known = _NOTICES.get(code)
    return tr(known) if known is not None else error_sentence(code, fallback)


def error_sentence(code: str, fallback: str) -> str:
    """One line for a person: what happened and what to do, or the engine's own sentence."""
    known = _ERRORS.get(code)
    if known is None:
        return fallback or tr("Something went wrong ({code}).", code=code)
    return f"{tr(known[0])} {tr(known[1])}"


SEALED = "You pass on sealed envelopes; nobody here can read them."
END_TO_END_NOTE = "End-to-end encrypted: only the devices of the room's members can read it."
CALLER_NOTE = "Another program encrypts this room's messages itself; they pass through here sealed."
SECURE_PROTECTS = (
    "Relays of the room never see your internet address.",
    "Packets leave at one rate, day and night, whether you write or not; all have one size.",
    "What you send goes through three mixes, each time others: to link it with you, somebody has to watch them all, or "
    "much of the network for long.",
)
SECURE_DOES_NOT = (
    "It does not hide that you use this program: your guards see your address, all the time.",
    "Your guard and a relay of the room that work together can tell that you read the room, though not what you write.",
    "It does not hide you from the room's members, and it does not help if your computer is taken over.",
    "Members who write without it are not hidden. Typing marks and reactions are not sent.",
)
LOOPS_VANISH = (
    "Own test packets vanish: somebody may be dropping this device's packets to watch it. Write nothing here that "
    "depends on being hidden until this is over."
)
SAFETY_NOTE = (
    "Compare this with the other person, face to face or by voice. If it is the same on both devices, nobody sits in "
    "between. It changes when one of you gets a new device."
)
NO_EXPOSURE = "Nothing was written on this day: no link was open and nothing was asked for."
EXPOSURE_NOTE = (
    "Counted from the links and frames that this device really used, by the kind of peer. It is what they could have "
    "learned, not what they did. The days are UTC and are kept for 31 days, on this device only."
)
ROLES = {
    "bootstrap": "Starting points of the network",
    "dht-contact": "Peers of the directory",
    "relay-direct": "Relays of your rooms, reached directly",
    "relay-guarded": "Relays of your rooms, through a guard",
    "guard": "Guards",
    "fellow-relay": "Relays that served beside this one",
    "mix-neighbour": "Mixes beside this one",
    "central": "The central server",
}
INVITE_NOTE = "Whoever has this link can join and read the room. Send it only to people you want inside."
NO_DUTIES = (
    "No duties yet. Each room draws its relays anew every epoch; when your turn comes, the duty appears here. "
    "In a small network that takes one epoch, in a large one it can take hours."
)
NO_PAST_DUTIES = "Nothing here yet. A duty moves here when its epoch and the handover after it have ended."
NO_ROOMS = "No rooms yet. Make one and invite people, or paste an invite link you were sent."
NO_MESSAGES = "No messages yet. Write the first one below; it is kept and sent again until the relays hold it."
NO_RELAYS = "No relays known yet. They appear here a few seconds after the first peer has answered."
YOUNG_NETWORK = (
    "This network is young: few independent relays are here. Committees are smaller and less diverse than they should "
    "be, so treat it as a trial, not as shelter."
)

MODES = {
    "p2p": (
        "Peer to peer",
        "Enters the network through starting points that you name, and asks nothing central after that.",
        "A starting point sees your internet address when you enter.",
    ),
    "full": (
        "Peer to peer, without starting points",
        "Enters by peers it knows, by your local network and by invites. A new device may find nobody at first.",
        "Only peers see your internet address. Starting points that you named are kept and not asked.",
    ),
    "hybrid": (
        "With a server of your choice",
        "As peer to peer, and a server keeps sealed envelopes when relays and mailboxes fail.",
        "The server sees your internet address, which rooms are one device's (by tags, not by name), and when "
        "envelopes pass, how many and how large. It never sees what is in them, and rooms with high security never use "
        "it.",
    ),
}
NO_SERVER = "Write the server's address first, then press “Use server”."
MAILBOX_NOTE = (
    "Sealed envelopes for people who are away lie on this disk for up to seven days. You cannot open them. You see a "
    "tag for a day, sizes and times, and the internet addresses of who leaves and who collects."
)
SHARE_NOTE = (
    "Once a day the sums of the day before, over all relays and rounded, go to the server of your choice. They name no "
    "relay, no room and not this device; the server sees the internet address they come from."
)

RELAY_SEES = (
    "That a computer at some internet address opens a session, and when.",
    "A tag that stands for a room during one epoch. The next epoch has another tag.",
    "How many envelopes pass, when, and in which of a few fixed sizes.",
    "How many members are connected to it for that tag.",
)
RELAY_CANNOT_SEE = (
    "What is in an envelope: text, files, names.",
    "Which room a tag belongs to, or that two tags of two epochs are the same room.",
    "The room's key, the invite link, or the list of its members.",
    "Whether a message was delivered: only a member can confirm that.",
)
RELAY_IS_NOT = (
    "Your computer is not an exit to the web. It passes sealed envelopes between members of rooms and nothing else. "
    "Peers you connect to see your internet address, as with any peer-to-peer program."
)

SHORTCUTS = (
    ("Ctrl+1 … Ctrl+7", "Home, Duties, Network, Rooms, What others saw, Settings, Help"),
    ("Enter", "Send the message, open the selected row"),
    ("Esc", "Close a dialog or the inspector, else hide the window"),
    ("Ctrl+Q", "Quit"),
)
