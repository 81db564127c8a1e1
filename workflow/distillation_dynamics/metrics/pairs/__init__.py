"""Measures of two networks beside each other: each file one pair metric, a function `compare` of the rows of both."""
