"""The mailbox: envelopes that wait on this disk for members who are away."""
