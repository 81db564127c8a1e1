# One figure or animation a job, from the study-level tables alone.
DRAWN = sorted(path.stem for path in (LIBRARY / "distillation_dynamics/figures").glob("[a-z]*.py") if path.stem != "style")


def formats_of(figure):
    """The formats that a figure's module says it comes in; most say nothing."""
    try:
        return literals(LIBRARY / f"distillation_dynamics/figures/{figure}.py", "FORMATS")[0]
    except KeyError:
        return ("pdf", "png")


ANIMATIONS = [figure for figure in DRAWN if "gif" in formats_of(figure)]
FIGURES = [figure for figure in DRAWN if figure not in ANIMATIONS]


def tables_of(wildcards):
    """The tables that a figure's module says it reads."""
    (names,) = literals(LIBRARY / f"distillation_dynamics/figures/{wildcards.figure}.py", "TABLES")
    return [f"{METRICS if name in TABLES else SUMMARY}/{name}.parquet" for name in names]


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
        options=to_json(STUDY.figures),
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
