"""Finding peers: signed Kademlia, the relay directory, bootstrap, the local network."""
