"""Tests, intervals and thresholds shared by several questions, and the evidence they use."""
