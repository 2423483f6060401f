"""Loaded models that carry out plans, and how they are found, loaded and shared."""
