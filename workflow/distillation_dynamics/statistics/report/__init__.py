"""The answers in words: `report.md`, one question a file, each answered in one sentence before its table."""
