"""CPU time of mix packets, in turn with the primitives a hop consists of, A B A B.

`unwrap` is one mix of a five-hop packet of full size. `parts` is what it mainly consists of: two X25519, the MAC over
the header, LIONESS over the payload from the hop's payload key. `bare_parts` is the same with LIONESS's own key given,
`all_parts` the same and everything else the construction asks for: the hop's keys, the header stream, the blinding
scalar, the replay tag. One thread, CPU time of the process; figures are medians of the rounds, ratios medians of each
round's ratio, so that a busy machine shifts both.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from railgun_core.bench.options import BenchMixOptions
from railgun_core.mix.sphinx import (
    HEADER_BYTES,
    PACKET_BYTES,
    SLOTS,
    SURB_BYTES,
    Hop,
    keys,
    lioness,
    new_packet,
    new_surb,
    public_key,
    unwrap,
)
from railgun_core.mix.sphinx.geometry import BETA_AT, MAC_BYTES, SLOT_BYTES

_SEED = 1


def run(options: BenchMixOptions) -> dict[str, object]:
    """Measure; see the module. About 2 ms for each of rounds x calls: 4 s by default."""
    subjects = _subjects()
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for call in subjects.values():
        call()
    for _ in range(options.rounds):
        for name, call in subjects.items():
            started_s = time.process_time()
            for _ in range(options.calls):
                call()
            found[name].append((time.process_time() - started_s) / options.calls * 1e6)
    middle = {name: statistics.median(all_us) for name, all_us in found.items()}
    return {
        "packet_bytes": PACKET_BYTES,
        "header_bytes": HEADER_BYTES,
        "surb_bytes": SURB_BYTES,
        "hops": SLOTS,
        "rounds": options.rounds,
        "calls": options.calls,
        **{f"{name}_us": round(value, 2) for name, value in middle.items()},
        "ratio_to_parts": round(_ratio(found["unwrap"], found["parts"]), 3),
        "ratio_to_bare_parts": round(_ratio(found["unwrap"], found["bare_parts"]), 3),
        "ratio_to_all_parts": round(_ratio(found["unwrap"], found["all_parts"]), 3),
        "packets_per_s_core": round(1e6 / middle["unwrap"]),
    }


def _ratio(ours_us: list[float], theirs_us: list[float]) -> float:
    return statistics.median(ours / theirs for ours, theirs in zip(ours_us, theirs_us, strict=True))


def _subjects() -> dict[str, Callable[[], object]]:
    rng = random.Random(_SEED)
    privates = [rng.randbytes(32) for _ in range(SLOTS)]
    path = [Hop(rng.randbytes(32), public_key(one), 100 + at) for at, one in enumerate(privates)]
    packet = new_packet(path, b"", rng=rng)
    recipient, reply_id = rng.randbytes(32), rng.randbytes(16)
    private, alpha = privates[0], packet[2:BETA_AT]
    covered, block = packet[: HEADER_BYTES - MAC_BYTES], packet[HEADER_BYTES:]
    beta = covered[BETA_AT:] + bytes(SLOT_BYTES)
    secret = keys.multiply(private, alpha)
    hop = keys.derive(secret)
    blinding, payload_key = hop.blinding_scalar(), lioness.derive(hop.payload)

    def bare_parts() -> None:
        keys.multiply(private, alpha)
        hop.header_mac(covered)
        lioness.decrypt(payload_key, block)
        keys.multiply(blinding, alpha)

    def parts() -> None:
        keys.multiply(private, alpha)
        hop.header_mac(covered)
        lioness.decrypt(lioness.derive(hop.payload), block)
        keys.multiply(blinding, alpha)

    def all_parts() -> None:
        keys.multiply(private, alpha)
        keys.derive(secret)
        hop.mac_and_tag(covered)
        hop.keystream_xor(beta)
        keys.multiply(hop.blinding_scalar(), alpha)
        lioness.decrypt(lioness.derive(hop.payload), block)

    return {
        "parts": parts,
        "unwrap": lambda: unwrap(private, packet),
        "bare_parts": bare_parts,
        "all_parts": all_parts,
        "lioness": lambda: lioness.decrypt(payload_key, block),
        "build": lambda: new_packet(path, b"", rng=rng),
        "surb": lambda: new_surb(path, recipient=recipient, reply_id=reply_id, rng=rng),
    }
