# What the teacher says of the training images, once for all variants and seeds, where views are fixed.
# Leaves:
#   results/shared/teacher_outputs/<key>/{logits,block<bb>}.npy
if GRAPH.outputs is not None:

    rule teacher_outputs:
        input:
            lambda wildcards: flags_of(GRAPH.outputs.needs),
        output:
            touch(GRAPH.outputs.flag),
        log:
            f"logs/shared/teacher_outputs/{GRAPH.outputs.key}.log",
        priority: 4
        conda:
            ENVIRONMENT
        threads: threads_of("teacher_outputs")
        resources:
            **resources_of("teacher_outputs"),
        params:
            task=GRAPH.outputs.file,
        message:
            "Compute what the teacher says of the training images"
        shell:
            CARRY_OUT
