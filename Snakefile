# The whole study: from images to its page. `snakemake --cores all` runs config.yaml;
# `snakemake --cores all --configfile studies/<name>.yaml` runs another study; of several files the later ones win.
include: "workflow/Snakefile"


# Of an included file Snakemake takes no default target.
workflow.default_target = "all"
