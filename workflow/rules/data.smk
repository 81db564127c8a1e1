# Images: each set (that of `data` is called main, the others are `probes`) is decoded or listed once, and split.
# Leaves:
#   results/shared/data/<key>/splits.parquet
#   results/shared/data/<key>/pictures.json
#   results/shared/data/<key>/{train,test}.{bin,npy}
rule data:
    output:
        touch("results/.flags/shared/data/{image_set}/{key}"),
    log:
        "logs/shared/data/{image_set}.{key}.log",
    conda:
        ENVIRONMENT
    threads: threads_of("data")
    resources:
        **resources_of("data"),
    params:
        task=lambda wildcards: GRAPH.sets[wildcards.image_set].file,
    message:
        "Read and split the images ({wildcards.image_set})"
    shell:
        CARRY_OUT
