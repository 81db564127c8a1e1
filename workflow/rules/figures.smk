# One figure a job, from the study-level tables alone.
FIGURES = sorted(path.stem for path in (LIBRARY / "distillation_dynamics/figures").glob("[a-z]*.py") if path.stem != "style")


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
        "--options {params.options:q} --output-pdf {output.pdf:q} --output-png {output.png:q}"
        + RECORD
