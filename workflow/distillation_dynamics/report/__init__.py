"""The report of a study: what its questions answer, in words that are templates of text."""
