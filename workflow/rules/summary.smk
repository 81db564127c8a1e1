# Accuracy, agreement and cost of every run and variant.
rule summary:
    input:
        lambda wildcards: stamps_of(CHAIN.summary.needs),
    output:
        touch(CHAIN.summary.stamp),
    log:
        LOGS + "/summary.log",
    params:
        order=CHAIN.summary.file,
    message:
        "Sum the runs up"
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: threads_of("tables")
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
