# What gathers what all networks left: tables of metrics, summary, statistics, figures and the page, those that are due in one
# process, or few.
# Each keeps its own key, record and files; what follows from one that fails is not made.
rule tables:
    input:
        members_of("tables"),
    output:
        temp(touch("results/.stamps/groups/tables/{group}")),
    log:
        LOGS + "/tables/{group}.log",
    params:
        order=groups.GROUPS + "/tables/{group}.json",
        labels=labels_of("tables"),
    message:
        "Gather {params.labels}"
    threads: threads_of("tables")
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
