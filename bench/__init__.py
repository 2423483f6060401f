"""Measures Loopwright against the package whose models it runs, on one machine, in one run."""
