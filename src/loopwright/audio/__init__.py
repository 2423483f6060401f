"""Audio as numpy arrays [channels, samples], full scale ±1: measuring, changing, encoding. No torch."""
