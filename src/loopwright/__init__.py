"""Loopwright: a prompt in, a bar-exact stereo loop out."""

__version__ = "0.1.0"
