# Three questions: is it U-shaped, does a variant help, which layers to align; tables and a report in words.
rule statistics:
    input:
        lambda wildcards: stamps_of(CHAIN.statistics.needs),
    output:
        touch(CHAIN.statistics.stamp),
    log:
        LOGS + "/statistics.log",
    params:
        order=CHAIN.statistics.file,
    message:
        "Test and report"
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: threads_of("tables")
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
