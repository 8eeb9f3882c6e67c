"""Small drawn parts shared by the pages. They know the theme and plain views, never the engine."""
