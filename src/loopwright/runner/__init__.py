"""The runner: the process that generates, and the client with which the server talks to it."""
