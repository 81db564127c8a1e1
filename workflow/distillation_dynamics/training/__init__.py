"""One training loop for all networks of a study: members, saved states, logs, and evaluation."""
