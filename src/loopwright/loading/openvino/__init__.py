"""Models of the stable-audio family computed by OpenVINO: converted once, kept in a cache, several times faster on a CPU."""
