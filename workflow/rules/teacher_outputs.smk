# What a teacher says of the training images, once for all variants and seeds, where views are fixed.
# Leaves:
#   results/shared/teacher_outputs/<key>/{logits,pooled,block<bb>,classes<bb>,registers<bb>,attention<bb>}.npy
rule teacher_outputs:
    input:
        lambda wildcards: flags_of(outputs(wildcards).needs),
    output:
        touch("results/.flags/shared/teacher_outputs/{network}/{key}"),
    log:
        "logs/shared/teacher_outputs/{network}.{key}.log",
    priority: 4
    conda:
        ENVIRONMENT
    threads: threads_of("teacher_outputs")
    resources:
        **resources_of("teacher_outputs"),
    params:
        task=lambda wildcards: outputs(wildcards).file,
    message:
        "Compute what {wildcards.network} says of the training images"
    shell:
        CARRY_OUT
