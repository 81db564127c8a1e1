# Study-level tables of all metrics: those of all models, end to end.
METRICS = RESULTS + "/metrics"
# Per-image scalars stay with their models: of ImageNet they are gigabytes.
MODEL_TABLES = ["depth", "spectrum"]
TABLES = MODEL_TABLES + SALIENCY_TABLES + COMPARISON_TABLES


def tables_of_models(wildcards):
    """The tables of that name of all models."""
    if wildcards.table in COMPARISON_TABLES:
        teacher, student = [], COMPARISON
    else:
        stage = SALIENCY if wildcards.table in SALIENCY_TABLES else FEATURES
        teacher, student = [f"{stage}/teacher"], stage + "/students/{variant}/seed{seed}"
    return [
        f"{folder}/{wildcards.table}.parquet"
        for folder in [*teacher, *expand(student, variant=STUDY.variants, seed=STUDY.seeds)]
    ]


rule metrics:
    input:
        tables_of_models,
    output:
        METRICS + "/{table}.parquet",
    log:
        LOGS + "/metrics/{table}.log",
    params:
        record=METRICS + "/.{table}.record.json",
        code=fingerprint("metrics.__main__"),
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: STUDY.compute["tables"]["threads"]
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.metrics --tables {input:q} --out {output:q}"
        + RECORD
