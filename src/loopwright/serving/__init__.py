"""Carrying out many plans at once, in fair order."""
