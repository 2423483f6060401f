"""From a request to a result: which model, which source, how it is made, and what came of it."""
