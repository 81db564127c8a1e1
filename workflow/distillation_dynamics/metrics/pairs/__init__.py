"""Pair metrics compare two networks: one file each, with a function `compare` of both networks' rows."""
