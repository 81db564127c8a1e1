"""What a study says: its configuration as written, checked, and as one value that jobs are made from."""
