# Study-level tables of all metrics: those of all models, end to end.
rule metrics:
    input:
        lambda wildcards: stamps_of(CHAIN.metrics[wildcards.table].needs),
    output:
        touch(STAMPS + "/metrics/{table}/{key}"),
    log:
        LOGS + "/metrics/{table}.{key}.log",
    params:
        order=lambda wildcards: CHAIN.metrics[wildcards.table].file,
    message:
        "Join the tables {wildcards.table}"
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: threads_of("tables")
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
