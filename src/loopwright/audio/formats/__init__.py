"""The formats that audio is written in: a file each, and the table of them."""
