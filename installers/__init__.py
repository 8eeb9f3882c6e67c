"""Set-up from a bare machine: `python3 -m installers run | test | build`, with the standard library only."""
