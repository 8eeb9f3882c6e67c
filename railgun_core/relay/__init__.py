"""Carrying sealed envelopes for tags whose rooms this node does not know."""
