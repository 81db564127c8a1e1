"""Networks of timm: how they are built, loaded, run, and paired with a control."""
