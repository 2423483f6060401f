"""Audio as numpy arrays [channels, samples]: reading, measuring, changing, writing. No torch."""
