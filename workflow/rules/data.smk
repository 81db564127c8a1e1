# Images: decoded (or listed) once, and split into train, validation and test.
rule data:
    output:
        touch(CHAIN.data.stamp),
    log:
        f"logs/shared/data/{CHAIN.data.key}.log",
    params:
        order=CHAIN.data.file,
    message:
        "Read and split the images"
    threads: threads_of("data")
    resources:
        **resources_of("data"),
    conda:
        ENVIRONMENT
    shell:
        CARRY_OUT
