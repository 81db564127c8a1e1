# What is due of networks beside each other: students and their teacher, every network and every other, the map of all. It is
# computed from what was measured of each, and runs no network.
rule compare:
    input:
        members_of("compare"),
    output:
        temp(touch("results/.stamps/groups/compare/{group}")),
    log:
        f"{LOGS}/compare/{{group}}.log",
    conda:
        ENVIRONMENT
    threads: threads_of("compare")
    resources:
        **resources_of("compare"),
    params:
        order=f"{groups.GROUPS}/compare/{{group}}.json",
        labels=labels_of("compare"),
    message:
        "Compare {params.labels}"
    shell:
        CARRY_OUT
