"""One identity for pairwise sessions: its Curve25519 key, one-time keys for others, and a key of last resort.

Who wants to write first takes a one-time key; each opens one session and is gone. When several take the same one, or
none is left, the last-resort key serves: it opens any number of sessions, so it is renewed a day after it was made or
an hour after it was used, and kept for an hour more for those who read the old one. That hour is one in which this
device is there: what came while it was away is read before the keys for it go. The library has no such key: it is a
one-time key that is spent on a copy of the account. Keys are drawn by the library (see the package).
Source: X3DH with signed and one-time prekeys, as in the Olm specification, "Initial setup".
"""

from __future__ import annotations

from dataclasses import dataclass

import vodozemac

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.ratchet.sealed import KEY_BYTES, Unopenable, Why
from railgun_core.wire.codec import Reader, array8, blob16

ONE_TIME_KEYS = 16
RENEW_AFTER_S = 86_400
RENEW_USED_AFTER_S = 3_600
RETIRE_AFTER_S = 3_600
AWAY_MOST_S = 8 * 86_400  # nobody keeps mail for longer
_ONE_TIME_FIELD = 0x0A


@dataclass(frozen=True, slots=True)
class Bundle:
    """What others need to begin a session with somebody: public keys, 32 bytes each."""

    identity: bytes
    last_resort: bytes
    one_time: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return self.identity + self.last_resort + array8(self.one_time)

    @classmethod
    def decode(cls, reader: Reader) -> Bundle:
        """Raises MalformedFrame."""
        identity, last_resort = reader.take(KEY_BYTES), reader.take(KEY_BYTES)
        return cls(identity, last_resort, tuple(reader.take(KEY_BYTES) for _ in range(reader.count(ONE_TIME_KEYS))))


class Account:
    """The private half of a Bundle. What changes it has to be saved before a frame that depends on it leaves."""

    def __init__(self, account: vodozemac.Account, pickle_key: bytes, now_s: float) -> None:
        self._account = account
        self._pickle_key = pickle_key
        self._one_time: list[bytes] = []
        self._last_resort = self._generate(1)[0]
        self._made_s = self._used_s = now_s
        self._used = False
        self._retiring: list[tuple[bytes, float]] = []
        self.identity: bytes = account.curve25519_key.to_bytes()
        self._one_time = self._generate(ONE_TIME_KEYS)

    @classmethod
    def create(cls, pickle_key: bytes, now_s: float) -> Account:
        """A fresh identity."""
        return cls(vodozemac.Account(), pickle_key, now_s)

    @property
    def bundle(self) -> Bundle:
        """What others may be told now."""
        return Bundle(self.identity, self._last_resort, tuple(self._one_time))

    def renew(self, now_s: float) -> bool:
        """Fill up one-time keys, change the last-resort key when it is due, destroy old ones; whether anything changed.

        `now_s` is Unix time, as these times outlive the process; a clock that jumps renews too early or an hour late.
        """
        gone = [key for key, until_s in self._retiring if not now_s <= until_s <= now_s + RETIRE_AFTER_S]
        for key in gone:
            self._destroy(key)
        self._retiring = [(key, until_s) for key, until_s in self._retiring if key not in gone]
        lacking = ONE_TIME_KEYS - len(self._one_time)
        self._one_time += self._generate(lacking)
        stale = not 0 <= now_s - self._made_s < RENEW_AFTER_S
        if stale or (self._used and not 0 <= now_s - self._used_s < RENEW_USED_AFTER_S):
            self._retiring.append((self._last_resort, now_s + RETIRE_AFTER_S))
            self._last_resort = self._generate(1)[0]
            self._made_s, self._used = now_s, False
            return True
        return bool(gone) or lacking > 0

    def came_back(self, now_s: float) -> None:
        """This device was away: keys whose last hour passed meanwhile get one in which it is there.

        They exist still, so whoever had the device could have used them; mail that was left may need them.
        """
        self._retiring = [
            (key, now_s + RETIRE_AFTER_S if now_s - AWAY_MOST_S < until_s < now_s else until_s)
            for key, until_s in self._retiring
        ]

    def begin(self, bundle: Bundle, one_time: bytes) -> vodozemac.Session:
        """A session towards the owner of a bundle, with one of its keys. Unopenable when the keys are no keys."""
        try:
            identity = vodozemac.Curve25519PublicKey.from_bytes(bundle.identity)
            key = vodozemac.Curve25519PublicKey.from_bytes(one_time)
            return self._account.create_outbound_session(identity, key)
        except ValueError:
            raise Unopenable(Why.FORGED) from None

    def accept(self, identity: bytes, ciphertext: bytes, now_s: float) -> tuple[vodozemac.Session, bytes]:
        """The session that a first message of `identity` opens, and what it says. Raises Unopenable. About 0.5 ms."""
        taken = named_one_time_key(ciphertext)
        lasting = taken == self._last_resort or any(taken == key for key, _ in self._retiring)
        account = self._copy() if lasting else self._account
        try:
            message = vodozemac.AnyOlmMessage.pre_key(ciphertext).to_pre_key()
            sender = vodozemac.Curve25519PublicKey.from_bytes(identity)
            if message is None:
                raise Unopenable(Why.FORGED)
            session, plaintext = account.create_inbound_session(sender, message)
        except ValueError:
            known = lasting or taken in self._one_time
            raise Unopenable(Why.FORGED if known else Why.SPENT) from None
        if lasting and not self._used:
            self._used, self._used_s = True, now_s
        elif not lasting:
            self._one_time.remove(taken)
        return session, plaintext

    def dump(self) -> bytes:
        """Everything, encrypted under the pickle key. About 0.3 ms."""
        times = u64(round(self._made_s * 1000)) + u64(round(self._used_s * 1000)) + bytes((self._used,))
        retiring = array8([key + u64(round(until_s * 1000)) for key, until_s in self._retiring])
        return (
            times
            + self._last_resort
            + array8(self._one_time)
            + retiring
            + blob16(self._account.pickle(self._pickle_key).encode("ascii"))
        )

    @classmethod
    def restore(cls, value: bytes, pickle_key: bytes) -> Account:
        """What `dump` gave. MalformedFrame when it is damaged or the key is another."""
        reader = Reader(value)
        found = cls.__new__(cls)
        found._made_s, found._used_s, found._used = reader.u64() / 1000, reader.u64() / 1000, reader.flag()
        found._last_resort = reader.take(KEY_BYTES)
        found._one_time = [reader.take(KEY_BYTES) for _ in range(reader.u8())]
        found._retiring = [(reader.take(KEY_BYTES), reader.u64() / 1000) for _ in range(reader.u8())]
        pickle = reader.blob16()
        reader.end()
        try:
            found._account = vodozemac.Account.from_pickle(pickle.decode("ascii"), pickle_key)
        except ValueError:
            raise MalformedFrame("account") from None
        found._pickle_key = pickle_key
        found.identity = found._account.curve25519_key.to_bytes()
        return found

    def _generate(self, count: int) -> list[bytes]:
        known = set(self._account.one_time_keys)
        self._account.generate_one_time_keys(count)
        # Never marked as published, so that the library still counts them all; in the order of their numbers.
        return [key.to_bytes() for name, key in sorted(self._account.one_time_keys.items()) if name not in known]

    def _copy(self) -> vodozemac.Account:
        return vodozemac.Account.from_pickle(self._account.pickle(self._pickle_key), self._pickle_key)

    def _destroy(self, key: bytes) -> None:
        """Spend a key on a message to oneself: the only way the library forgets one."""
        own, public = self._account.curve25519_key, vodozemac.Curve25519PublicKey.from_bytes(key)
        stranger = vodozemac.Account()
        message = stranger.create_outbound_session(own, public).encrypt(b"").to_pre_key()
        assert message is not None  # the first message of a session
        self._account.create_inbound_session(stranger.curve25519_key, message)


def named_one_time_key(ciphertext: bytes) -> bytes:
    """The one-time key a first message was made for. Unopenable when it names none.

    Format: version 3, then fields of a tag byte and a length byte; all before the payload are 32-byte keys.
    """
    at = 1
    while at + 2 + KEY_BYTES <= len(ciphertext) and ciphertext[at + 1] == KEY_BYTES:
        if ciphertext[at] == _ONE_TIME_FIELD:
            return ciphertext[at + 2 : at + 2 + KEY_BYTES]
        at += 2 + KEY_BYTES
    raise Unopenable(Why.FORGED)
