# The teacher: pretrained here, downloaded (on the machine that has a network), or a file; measured before any use.
if CHAIN.weights is not None:

    rule teacher_weights:
        output:
            touch(CHAIN.weights.stamp),
        log:
            f"logs/shared/teacher_weights/{CHAIN.weights.key}.log",
        params:
            order=CHAIN.weights.file,
        message:
            "Fetch the teacher's weights"
        localrule: True
        resources:
            gpu=0,
            mem_mb=2000,
            runtime=60,
        conda:
            ENVIRONMENT
        shell:
            CARRY_OUT


rule teacher:
    input:
        lambda wildcards: stamps_of(CHAIN.teacher.needs),
    output:
        touch(CHAIN.teacher.stamp),
    log:
        f"logs/shared/teacher/{CHAIN.teacher.key}.log",
    params:
        order=CHAIN.teacher.file,
        launcher=lambda wildcards, resources: launcher("teacher", resources),
        gpus=lambda wildcards, resources: gpus_of("teacher", resources),
    message:
        "Make the teacher ready and measure it"
    threads: threads_of("teacher")
    resources:
        **resources_of("teacher"),
    conda:
        ENVIRONMENT
    shell:
        "exec {params.launcher} -m distillation_dynamics {params.order:q} --gpus {params.gpus} > {log:q} 2>&1"
