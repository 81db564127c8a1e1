# What the teacher says of the training images, once for all variants and seeds, where views are fixed.
TEACHER_OUTPUTS = RESULTS + "/teacher_outputs"
TEACHER_BLOCKS = STUDY.teacher_blocks(*STUDY.variants)


def teacher_output_files(logits, blocks):
    """Files with the teacher's stored logits and blocks."""
    return ([f"{TEACHER_OUTPUTS}/logits.npy"] if logits else []) + [
        f"{TEACHER_OUTPUTS}/block{block:02d}.npy" for block in blocks
    ]


rule teacher_outputs:
    input:
        data=DATA_FILES,
        weights=TEACHER + "/teacher.safetensors",
    output:
        teacher_output_files(True, TEACHER_BLOCKS),
    log:
        LOGS + "/teacher_outputs.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.teacher.model),
        recipe=to_json(STUDY.student.recipe),
        blocks=TEACHER_BLOCKS,
        folder=DATA,
        out=TEACHER_OUTPUTS,
        code=fingerprint("teacher_outputs"),
    threads: needs("teacher_outputs", "threads")
    resources:
        gpu=needs("teacher_outputs", "gpu"),
        mem_mb=needs("teacher_outputs", "mem_mb"),
        runtime=needs("teacher_outputs", "runtime"),
    shell:
        "python -m distillation_dynamics.teacher_outputs --data-spec {params.data:q} --model {params.model:q} "
        "--recipe {params.recipe:q} --data {params.folder:q} --weights {input.weights:q} --out {params.out:q} "
        "--blocks {params.blocks} --gpus {resources.gpu} --threads {threads} > {log:q} 2>&1"
