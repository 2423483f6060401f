"""The embedded model: trained on synthesised loops only, with its weights inside the package."""
