"""Who serves a room, for how long, and how anybody can check it."""
