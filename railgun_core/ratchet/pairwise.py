"""The sessions of this device with one other: double ratchets, up to four, the one last heard first.

Both may begin at the same moment, and a device may begin again when it lost its state; so several live side by side.
What is sent goes into the session that the other side proved to have by writing in it, else into the newest. Every
message has a key of its own that is gone once used. Skipped messages: 40 a chain are kept, 2,000 may be skipped; what
lies beyond is lost, and a new session heals it.
Source: the Olm specification; "The Double Ratchet Algorithm" (Perrin, Marlinspike).
"""

from __future__ import annotations

import vodozemac

from railgun_core.base.errors import MalformedFrame
from railgun_core.ratchet.account import Account, Bundle
from railgun_core.ratchet.sealed import Unopenable, Why
from railgun_core.wire.codec import Reader, array8, blob16

MAX_SESSIONS = 4
FIRST, NORMAL = 0, 1  # the two types of message


class Pairwise:
    """Sessions with one other device. Changes have to be saved before a message made here leaves."""

    __slots__ = ("_pickle_key", "_sessions")

    def __init__(self, pickle_key: bytes) -> None:
        self._pickle_key = pickle_key
        self._sessions: list[vodozemac.Session] = []  # the one to use first

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, account: Account, bundle: Bundle, one_time: bytes) -> None:
        """Open a session with one of the other's keys. Raises Unopenable when they are no keys."""
        self._first(account.begin(bundle, one_time))

    def encrypt(self, plaintext: bytes) -> tuple[int, bytes]:
        """Type and ciphertext; there must be a session. About 0.1 ms."""
        kind, ciphertext = self._sessions[0].encrypt(plaintext).to_parts()
        return kind, bytes(ciphertext)

    def decrypt(self, kind: int, ciphertext: bytes, *, account: Account, identity: bytes, now_s: float) -> bytes:
        """What a message of `identity` says; a first message may open a session. Raises Unopenable."""
        message = _parsed(kind, ciphertext)
        first = message.to_pre_key() if kind == FIRST else None
        for session in list(self._sessions):
            if first is not None and not session.session_matches(first):
                continue
            try:
                plaintext = session.decrypt(message)
            except ValueError:
                if first is not None:
                    raise Unopenable(Why.SPENT) from None
                continue
            self._first(session)
            return plaintext
        if first is None:
            raise Unopenable(Why.SPENT if self._sessions else Why.UNKNOWN_KEYS)
        session, plaintext = account.accept(identity, ciphertext, now_s)
        self._first(session)
        return plaintext

    def dump(self) -> bytes:
        """All sessions, encrypted under the pickle key. About 40 us each."""
        return array8([blob16(session.pickle(self._pickle_key).encode("ascii")) for session in self._sessions])

    @classmethod
    def restore(cls, reader: Reader, pickle_key: bytes) -> Pairwise:
        """What `dump` gave. MalformedFrame when it is damaged or the key is another."""
        found = cls(pickle_key)
        for _ in range(reader.count(MAX_SESSIONS)):
            try:
                found._sessions.append(vodozemac.Session.from_pickle(reader.blob16().decode("ascii"), pickle_key))
            except ValueError:
                raise MalformedFrame("session") from None
        return found

    def _first(self, session: vodozemac.Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        self._sessions = [session, *self._sessions][:MAX_SESSIONS]


def _parsed(kind: int, ciphertext: bytes) -> vodozemac.AnyOlmMessage:
    """The message in its one encoding. The library authenticates the fields, not the bytes that carried them, so a
    stranger could write the same message in many ways; one that is not as its sender wrote it is refused."""
    try:
        message = vodozemac.AnyOlmMessage.from_parts(kind, ciphertext)
    except ValueError:
        raise Unopenable(Why.FORGED) from None
    kind_again, again = message.to_parts()
    if (kind_again, bytes(again)) != (kind, ciphertext):
        raise Unopenable(Why.FORGED)
    return message
