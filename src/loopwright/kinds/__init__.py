"""The kinds of generation: each in a file of its own, and the table of all of them."""
