"""What the options mean for the decisions of a node: the shape of its network, and what it grants to others."""

from __future__ import annotations

from railgun_core.committee.epoch import EpochClock
from railgun_core.config import Config
from railgun_core.mailbox.limits import MailboxLimits
from railgun_core.mix.cover import rate_for
from railgun_core.mix.mixnet import MixnetConfig
from railgun_core.node import NodeConfig
from railgun_core.relay.duty import RelayLimits


def node_config(config: Config) -> NodeConfig:
    """The part of the options that decisions depend on."""
    return NodeConfig(
        clock=EpochClock(config.epoch_s, float(config.overlap_s)),
        committee_size=config.committee_size,
        by_port=config.group_by == "port",
        puzzle_bits=config.puzzle_bits,
        limits=RelayLimits(
            rate_per_s=config.session_rate_per_s, burst=config.session_burst, spool_bytes=config.spool_bytes
        ),
        relays="relay" in config.roles,
        mailbox=MailboxLimits(bytes=config.mailbox_bytes) if "mailbox" in config.roles else None,
        mixnet=MixnetConfig(
            mixes="mix" in config.roles,
            # An entry holds records and nothing else: it has nobody's messages to hide.
            cover_per_s=0.0 if config.roles == ("bootstrap",) else rate_for(config.cover_gb_month),
            secure_per_s=rate_for(config.secure_gb_month),
            guard_all_rooms=config.guards == "all",
        ),
    )
