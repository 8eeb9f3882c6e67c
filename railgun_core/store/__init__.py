"""Everything on disk: SQLite through SQLAlchemy Core, one writer thread, and the key files."""
