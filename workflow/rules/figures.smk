# One figure or animation a job, from the study-level tables alone.
rule figures:
    input:
        lambda wildcards: stamps_of(CHAIN.figures[wildcards.figure].needs),
    output:
        touch(STAMPS + "/figures/{figure}/{key}"),
    log:
        LOGS + "/figures/{figure}.{key}.log",
    params:
        order=lambda wildcards: CHAIN.figures[wildcards.figure].file,
    message:
        "Draw {wildcards.figure}"
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: threads_of("tables")
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
