"""Bytes on the wire: codec, envelope, frames, records. Decoders raise MalformedFrame and nothing else."""
