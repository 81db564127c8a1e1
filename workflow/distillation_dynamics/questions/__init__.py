"""The questions of a study, a folder each: what is asked, the statistic with its tables, the words of the answer."""
