"""The central server of hybrid mode: NATS JetStream as a place of last resort for envelopes.

The server sees what a relay sees: tags and sealed envelopes, and the address of who connects. A subject is
`railgun.<tag in hex>`, a message is one whole envelope frame; there are no headers, names or accounts. Everything here
is the rim: `client` and `following` speak with the real server, `memory` is the same service without a network for the
simulator, `telemetry` counts and never connects. Nothing here imports the NATS library but `connection` and
`following`, so that a peer in another mode does not pay for it.
"""

from __future__ import annotations
