"""How the embedded model is made: loops synthesised with captions, the codecs, the denoiser, and what is measured."""
