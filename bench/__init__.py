"""Measures Loopwright against the package it takes its models from, on one machine and in one run."""
