"""What the study can show: whether effects of interest can occur and be detected, before any answer."""

TITLE = "What this study can show"
PLACE = 20
READS = ("runs", "terms", "depth", "cka", "variants", "epochs")
