# The whole study: from images to figures. `snakemake --cores all` runs config.yaml;
# `snakemake --cores all --configfile studies/<name>.yaml` runs another study; of several files the later ones win.
from snakemake.utils import min_version

min_version("9.16")

# A study named on the command line stands alone: nothing of the default study may leak into it.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"

include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/teacher.smk"
include: "workflow/rules/teacher_outputs.smk"
include: "workflow/rules/students.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/saliency.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/figures.smk"

# Every lasting file is asked for, so that one that was deleted is made again.
ALL = [
    *rules.teacher.output,
    *rules.teacher_features.output,
    *expand(rules.students.output, variant=STUDY.variants, seed=STUDY.seeds),
    *expand(rules.student_features.output, variant=STUDY.variants, seed=STUDY.seeds),
    *rules.teacher_saliency.output,
    *expand(rules.student_saliency.output, variant=STUDY.variants, seed=STUDY.seeds),
    *expand(rules.comparison.output, variant=STUDY.variants, seed=STUDY.seeds),
    *expand(rules.metrics.output, table=TABLES),
    *rules.summary.output,
    *rules.statistics.output,
    *expand(rules.figures.output, figure=FIGURES),
    *expand(rules.animations.output, figure=ANIMATIONS),
]

rule all:
    default_target: True
    input:
        ALL,

include: "workflow/rules/records.smk"
