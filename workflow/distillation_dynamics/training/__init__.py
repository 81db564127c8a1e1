"""One training loop for every network of a study: members, their states and logs, and how they are evaluated."""
