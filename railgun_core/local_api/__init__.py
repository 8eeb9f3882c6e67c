"""The seam between the engine and everything that shows or commands it: JSON lines over a local socket."""
