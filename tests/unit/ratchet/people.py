"""Two people with accounts, for the tests of ratchets."""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.ratchet.account import Account
from railgun_core.ratchet.pairwise import Pairwise
from railgun_core.wire.codec import Reader

KEY = b"p" * 32
NOW_S = 1_800_000_000.0


@dataclass
class Person:
    """An account, and the sessions with one other person."""

    account: Account = field(default_factory=lambda: Account.create(KEY, NOW_S))
    pairwise: Pairwise = field(default_factory=lambda: Pairwise(KEY))

    def begin(self, other: Person, one_time: bytes | None = None) -> None:
        bundle = other.account.bundle
        self.pairwise.begin(self.account, bundle, one_time or bundle.one_time[0])

    def write(self, text: bytes) -> tuple[int, bytes]:
        return self.pairwise.encrypt(text)

    def read(self, message: tuple[int, bytes], author: Person, now_s: float = NOW_S) -> bytes:
        return self.pairwise.decrypt(*message, account=self.account, identity=author.account.identity, now_s=now_s)

    def restarted(self) -> Person:
        """The same person, from what was saved."""
        account = Account.restore(self.account.dump(), KEY)
        return Person(account, Pairwise.restore(Reader(self.pairwise.dump()), KEY))
