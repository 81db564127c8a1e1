# What is due to be measured of networks, several in one process, all metrics of one on the same batches. Each measurement
# keeps its own key, record and files, so that one that fails costs only itself.
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
    # The longer ones first: below 1, which all trainings are above.
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
