"""Carrying out plans for many at once."""
