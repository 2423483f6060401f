"""The tests. Torch is imported by many of them first, and is to wait as it does in the server (``engine/torch_import``)."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "3000")
