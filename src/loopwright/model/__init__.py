"""Models of latents: the mathematics, in torch. No settings, no I/O but reading checkpoints."""
