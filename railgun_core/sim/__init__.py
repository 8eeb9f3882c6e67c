"""Many nodes in one process under one virtual clock: same seed, same trace."""
