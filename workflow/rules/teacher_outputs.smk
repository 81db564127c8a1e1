# What the teacher says of the training images, once for all variants and seeds, where views are fixed.
if CHAIN.outputs is not None:

    rule teacher_outputs:
        input:
            lambda wildcards: stamps_of(CHAIN.outputs.needs),
        output:
            touch(CHAIN.outputs.stamp),
        log:
            f"logs/shared/teacher_outputs/{CHAIN.outputs.key}.log",
        priority: 4
        conda:
            ENVIRONMENT
        threads: threads_of("teacher_outputs")
        resources:
            **resources_of("teacher_outputs"),
        params:
            order=CHAIN.outputs.file,
        message:
            "Compute what the teacher says of the training images"
        shell:
            CARRY_OUT
