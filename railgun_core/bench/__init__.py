"""Measurements: each prints what it ran, against what, and how often."""
