# One figure or animation a job, from the study-level tables alone.
TABLE_FOLDERS = {
    **dict.fromkeys(TABLES, METRICS),
    **dict.fromkeys(STATISTICS_TABLES, STATISTICS),
    **dict.fromkeys(SUMMARY_TABLES, SUMMARY),
}


UNMEASURED = set(studies.metric_names()).difference(STUDY.features.metrics)


def said_by(figure):
    """What a figure's module says of itself: its tables, the metrics it needs, its formats; None: no figure."""
    path = LIBRARY / f"distillation_dynamics/figures/{figure}.py"
    return literals(path, "TABLES", "METRICS", "FORMATS", default=None)


def is_drawn(figure):
    """Whether this study measures what the figure shows; comparisons of variants need two of them."""
    tables, needs, _ = said_by(figure)
    measured = UNMEASURED.isdisjoint(needs or ())
    return tables is not None and measured and ("variants" not in tables or len(STUDY.variants) > 1)


DRAWN = sorted(filter(is_drawn, (path.stem for path in (LIBRARY / "distillation_dynamics/figures").glob("*.py"))))
ANIMATIONS = [figure for figure in DRAWN if said_by(figure)[2] == ("gif",)]
FIGURES = [figure for figure in DRAWN if figure not in ANIMATIONS]


def tables_of(wildcards):
    """The tables that a figure's module says it reads."""
    return [f"{TABLE_FOLDERS[table]}/{table}.parquet" for table in said_by(wildcards.figure)[0]]


rule figures:
    input:
        tables_of,
    output:
        pdf=RESULTS + "/figures/{figure}.pdf",
        png=RESULTS + "/figures/{figure}.png",
    log:
        LOGS + "/figures/{figure}.log",
    params:
        record=RESULTS + "/figures/.{figure}.record.json",
        options=to_json(STUDY.figures | {"variants": list(STUDY.variants), "baseline": STUDY.baseline}),
        code=lambda wildcards: fingerprint("figures.__main__", f"figures.{wildcards.figure}"),
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: STUDY.compute["tables"]["threads"]
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.figures --figure {wildcards.figure} --tables {input:q} "
        "--options {params.options:q} --files {output:q}"
        + RECORD


use rule figures as animations with:
    output:
        gif=RESULTS + "/figures/{figure}.gif",
