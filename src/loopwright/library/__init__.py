"""The personal riff library."""
