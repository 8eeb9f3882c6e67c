"""Ids, time, randomness, hashes, keys and errors: what every other package stands on."""
