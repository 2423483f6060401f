"""The personal riff library: a folder of loops, known by key and tempo."""
