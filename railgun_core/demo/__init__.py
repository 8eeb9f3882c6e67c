"""A real network of engine processes on loopback, with rooms and traffic, and its honest report."""
