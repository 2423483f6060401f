"""Stable Audio models computed by OpenVINO: converted once, kept in a cache, quicker on a CPU."""

import sys

# OpenVINO and NNCF report their use over the network, from forks of our processes that can hang and
# keep our sockets open. Without this package they do not.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
