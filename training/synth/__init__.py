"""Synthesised loops, with words that are true of them. Nothing is recorded or downloaded."""
