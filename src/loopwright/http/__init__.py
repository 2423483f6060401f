"""The HTTP front: wire in, wire out."""
