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
    localrule: True
    threads: needs("tables", "threads")
    resources:
        gpu=needs("tables", "gpu"),
        mem_mb=needs("tables", "mem_mb"),
        runtime=needs("tables", "runtime"),
    shell:
        "python -m distillation_dynamics.metrics --tables {input:q} --out {output:q}"
        + RECORD
