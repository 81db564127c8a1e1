"""Tests, intervals and thresholds that several questions share, and the evidence that they are answered from."""
