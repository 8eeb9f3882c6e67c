"""Links between peers: QUIC (iroh), TLS 1.3 over TCP, memory; one contract for all."""
