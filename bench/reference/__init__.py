"""The reference: stable-audio-tools, in an environment and a process of its own."""
