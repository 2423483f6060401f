"""Training of the embedded model: synthesised loops, captions, codecs, denoiser, evaluation."""
