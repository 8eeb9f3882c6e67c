"""A person's rooms: keys, members, what is sent, what arrives."""
