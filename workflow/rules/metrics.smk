# Study-level tables of all metrics: those of all models, end to end.
METRICS = RESULTS + "/metrics"


rule metrics:
    input:
        FEATURES + "/teacher/{table}.parquet",
        expand(
            FEATURES + "/students/{variant}/seed{seed}/{{table}}.parquet", variant=STUDY.variants, seed=STUDY.seeds
        ),
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
