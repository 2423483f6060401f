"""Tempo, keys and the words of prompts; exact fractions, and the standard library only.

Does not know: models, audio, HTTP.
"""
