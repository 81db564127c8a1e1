"""The questions of a study, one folder each: the question, its statistic with tables, and the words of its answer."""
