"""Stable Audio models computed by OpenVINO: converted once, kept in a cache, quicker on a CPU."""
