"""What will be done for a request: everything decided, nothing computed."""
