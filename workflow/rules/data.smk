# Images: each set (that of `data` is called main, the others are `probes`) is decoded or listed once, and split.
rule data:
    output:
        touch("results/.flags/shared/data/{probe}/{key}"),
    log:
        "logs/shared/data/{probe}.{key}.log",
    conda:
        ENVIRONMENT
    threads: threads_of("data")
    resources:
        **resources_of("data"),
    params:
        task=lambda wildcards: GRAPH.sets[wildcards.probe].file,
    message:
        "Read and split the images ({wildcards.probe})"
    shell:
        CARRY_OUT
