"""Links to the other relays of one's committees: at most one per peer, shared by all common duties.

When both sides dialled at once, the link that the smaller peer id dialled stays; both sides come to the same answer.
A second link by the same side replaces the first: who dials again has lost the old one, even if this side has not
noticed yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from railgun_core.base.ids import LinkId, PeerId

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


@dataclass(slots=True)
class _Fellow:
    link: LinkId | None = None
    dialled_by_me: bool = False
    dialling: bool = False
    failures: int = 0
    retry_s: float = 0.0


@dataclass(slots=True)
class Fellows:
    """Who is linked, who is being dialled, who has to wait."""

    own: PeerId
    _fellows: dict[PeerId, _Fellow] = field(default_factory=dict)

    def link(self, peer_id: PeerId) -> LinkId | None:
        """The link to a peer."""
        fellow = self._fellows.get(peer_id)
        return None if fellow is None else fellow.link

    def dial(self, peer_id: PeerId, now_s: float) -> bool:
        """Whether to dial a peer now; it then counts as being dialled."""
        fellow = self._fellows.setdefault(peer_id, _Fellow())
        if fellow.link is not None or fellow.dialling or now_s < fellow.retry_s:
            return False
        fellow.dialling = True
        return True

    def dial_failed(self, peer_id: PeerId, now_s: float) -> float:
        """Note a failure; when to try again."""
        fellow = self._fellows.setdefault(peer_id, _Fellow())
        fellow.dialling = False
        fellow.retry_s = now_s + BACKOFF_S[min(fellow.failures, len(BACKOFF_S) - 1)]
        fellow.failures += 1
        return fellow.retry_s

    def is_waiting(self, peer_id: PeerId, now_s: float) -> bool:
        """Whether a peer could not be reached just now and is being tried, or will be, again."""
        fellow = self._fellows.get(peer_id)
        if fellow is None or fellow.link is not None or not fellow.failures:
            return False
        return fellow.dialling or now_s < fellow.retry_s

    def forgive(self) -> None:
        """The failures were this node's own: whoever has no link may be dialled at once."""
        for fellow in self._fellows.values():
            fellow.failures, fellow.retry_s = 0, 0.0

    def link_up(self, peer_id: PeerId, link: LinkId, *, dialled_by_me: bool) -> LinkId | None:
        """A link to a peer is open. The link to hang up, when there are two of them and this side decides."""
        fellow = self._fellows.setdefault(peer_id, _Fellow())
        if dialled_by_me:
            fellow.dialling = False
        fellow.failures = 0
        if fellow.link is None or fellow.link == link:
            fellow.link, fellow.dialled_by_me = link, dialled_by_me
            return None
        if fellow.dialled_by_me == dialled_by_me:
            worse, fellow.link = fellow.link, link
            return worse
        better_is_mine = self.own < peer_id
        if dialled_by_me == better_is_mine:
            worse, fellow.link, fellow.dialled_by_me = fellow.link, link, dialled_by_me
        else:
            worse = link
        return worse if better_is_mine else None

    def link_down(self, link: LinkId, now_s: float) -> PeerId | None:
        """A link has ended; the peer it led to, when it was the one in use."""
        for peer_id, fellow in self._fellows.items():
            if fellow.link == link:
                fellow.link = None
                fellow.retry_s = now_s + BACKOFF_S[0]
                return peer_id
        return None

    def idle(self, needed: set[PeerId]) -> list[LinkId]:
        """Links that this side dialled and no duty needs any more."""
        return [
            fellow.link
            for peer_id, fellow in self._fellows.items()
            if fellow.link is not None and fellow.dialled_by_me and peer_id not in needed
        ]
