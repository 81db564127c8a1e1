"""The report of a study: answers to its questions, in words from text templates."""
