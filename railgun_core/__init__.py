"""Rail Gun Relay's core: everything but the window. Start reading at node.py."""

__version__ = "0.1.0"
