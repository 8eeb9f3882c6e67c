"""What a session may send: the token bucket of base/ratelimit.py, which the mixes use as well."""

from __future__ import annotations

from railgun_core.base.ratelimit import TokenBucket

__all__ = ["TokenBucket"]
