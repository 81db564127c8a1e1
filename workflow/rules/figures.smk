# One figure a job, from the study-level tables alone.
FIGURE_TABLES = {
    "training_curves": [SUMMARY + "/epochs.parquet"],
    "accuracy": [SUMMARY + "/runs.parquet"],
    "depth_profiles": [METRICS + "/depth.parquet"],
    "entropy_over_training": [METRICS + "/depth.parquet"],
    "spectra": [METRICS + "/spectrum.parquet"],
}
FIGURES = list(FIGURE_TABLES)


rule figures:
    input:
        lambda wildcards: FIGURE_TABLES[wildcards.figure],
    output:
        pdf=RESULTS + "/figures/{figure}.pdf",
        png=RESULTS + "/figures/{figure}.png",
    log:
        LOGS + "/figures/{figure}.log",
    params:
        options=to_json(STUDY.figures),
        code=lambda wildcards: fingerprint("figures.__main__", f"figures.{wildcards.figure}"),
    localrule: True
    threads: needs("tables", "threads")
    resources:
        gpu=needs("tables", "gpu"),
        mem_mb=needs("tables", "mem_mb"),
        runtime=needs("tables", "runtime"),
    shell:
        "python -m distillation_dynamics.figures --figure {wildcards.figure} --tables {input:q} "
        "--options {params.options:q} --output-pdf {output.pdf:q} --output-png {output.png:q} > {log:q} 2>&1"
