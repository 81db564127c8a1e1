"""What can this study show? Whether there is room for the effects that it asks about, before any answer."""

TITLE = "What this study can show"
PLACE = 20
READS = ("runs", "terms", "depth", "cka", "variants", "epochs")
