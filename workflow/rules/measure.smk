# What is due to be measured (features, saliency, comparison), of several networks in one process. Each measurement keeps
# its own key, record and files; one that fails ends alone.
rule measure:
    input:
        members_of("measure"),
    output:
        temp(touch("results/.stamps/groups/measure/{group}")),
    log:
        LOGS + "/measure/{group}.log",
    params:
        order=plans.GROUPS + "/measure/{group}.json",
        labels=labels_of("measure"),
    message:
        "Measure {params.labels}"
    threads: threads_of("features", "saliency", "comparison")
    resources:
        **resources_of("features", "saliency", "comparison"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT


# The three below only see to it that the measurement is there, or say why it is not.
def measured(stage):
    """An input function: what a measurement reads, and the group that makes it while it is due."""
    nodes = getattr(CHAIN, stage)
    return lambda wildcards: stamps_of(nodes[wildcards.network].needs) + group_of(nodes[wildcards.network])


def record_of(stage):
    """A function that names the record of a measurement."""
    return lambda wildcards: getattr(CHAIN, stage)[wildcards.network].order.record


def failed_of(stage):
    """A function that names the file in which a measurement that failed left its sentence."""
    return lambda wildcards: str(failure(getattr(CHAIN, stage)[wildcards.network].order))


SEE_TO_IT = "test -e {params.record:q} || {{ cat {params.failed:q} > {log:q}; exit 1; }}"
