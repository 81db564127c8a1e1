# Due measurements of networks, several per process; all metrics of a network share its batches. Each measurement has its own
# key, record and files, so that it fails alone.
# Leaves:
#   results/<study>/measure/{networks/<network>,students/<variant>/seed<k>}/<metric>/<table>.parquet
#   results/<study>/measure/{networks/<network>,students/<variant>/seed<k>}/<metric>/<checkpoint>/<file>
rule measure:
    input:
        members_of("measure"),
    output:
        temp(touch("results/.flags/batches/measure/{batch}")),
    log:
        f"{LOGS}/measure/{{batch}}.log",
    # Longer jobs first; below 1, the priority of trainings.
    priority: lambda wildcards: 1 - 1 / (1 + len(batches.members("measure", wildcards.batch)["tasks"]))
    conda:
        ENVIRONMENT
    threads: threads_of("measure")
    resources:
        **resources_of("measure"),
    params:
        task=f"{batches.BATCHES}/measure/{{batch}}.json",
        labels=labels_of("measure"),
    message:
        "Measure {params.labels}"
    shell:
        CARRY_OUT
