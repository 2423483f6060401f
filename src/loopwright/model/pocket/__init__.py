"""The embedded model: small, trained on synthesised loops, its weights inside the package."""
