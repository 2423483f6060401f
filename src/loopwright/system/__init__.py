"""What the operating system provides: processes, files and log lines."""
