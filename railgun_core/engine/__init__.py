"""The only place where decisions meet sockets, disk and time.

`engine.py` owns one Node and carries out its effects; `links.py` has the sockets, `saving.py` the disk,
`presence.py` what this peer says of itself in the DHT, `board.py` what it tells people.
"""
