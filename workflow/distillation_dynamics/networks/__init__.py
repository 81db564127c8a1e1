"""Networks of timm: built, loaded as released, asked for what the study looks at, and held beside a control."""
