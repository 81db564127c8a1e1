# Due comparisons: every student with its teacher, every network with every other, and the map of all. They use kept
# activations and run no network.
# Leaves:
#   results/<study>/compare/{students/<variant>/seed<k>,networks/<network>/<other>}/<metric>/<metric>.parquet
#   results/<study>/compare/map.parquet
rule compare:
    input:
        members_of("compare"),
    output:
        temp(touch("results/.flags/batches/compare/{batch}")),
    log:
        f"{LOGS}/compare/{{batch}}.log",
    conda:
        ENVIRONMENT
    threads: threads_of("compare")
    resources:
        **resources_of("compare"),
    params:
        task=f"{batches.BATCHES}/compare/{{batch}}.json",
        labels=labels_of("compare"),
    message:
        "Compare {params.labels}"
    shell:
        CARRY_OUT
