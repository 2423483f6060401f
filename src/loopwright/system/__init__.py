"""Processes, files and log lines: what the operating system is asked for."""
