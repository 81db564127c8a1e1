"""The page of a study: one offline file with charts, tables, printed figures and text."""
