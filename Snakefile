# The whole study: from images to its page. `snakemake --cores all` runs config.yaml;
# `snakemake --cores all --configfile studies/<name>.yaml` runs another study; of several files the later ones win.
from snakemake.utils import min_version

min_version("9.16")

include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/teacher_outputs.smk"
include: "workflow/rules/cohorts.smk"
include: "workflow/rules/students.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/tables.smk"


rule all:
    default_target: True
    input:
        # Every job but the trainings, which students ask for while they are not in the store.
        lambda wildcards: stamps_of(CHAIN.asked),
    message:
        "All of the study {STUDY.name}"
