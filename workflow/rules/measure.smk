# What is due to be measured (features, saliency, comparison with the teacher), of several networks in one process. Each
# measurement keeps its own key, record and files, so that one that fails costs only itself.
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
    threads: threads_of("measure")
    resources:
        **resources_of("measure"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
