# What the teacher says of the training images, once for all variants and seeds, where views are fixed.
SEEN_BY_STUDENTS = {name: to_json(getattr(STUDY.student.recipe, name)) for name in ("train_images", "augmentation")}
TEACHER_OUTPUTS_ID = shared_folder("teacher_outputs", TEACHER_ID, SEEN_BY_STUDENTS)
TEACHER_OUTPUTS = f"{SHARED}/{TEACHER_OUTPUTS_ID}"
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
        f"logs/shared/{TEACHER_OUTPUTS_ID}.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.teacher.model),
        train_images=SEEN_BY_STUDENTS["train_images"],
        augmentation=SEEN_BY_STUDENTS["augmentation"],
        # Not a reason to run again: two studies may keep other blocks of the same teacher in the same folder.
        blocks=lambda wildcards, resources: TEACHER_BLOCKS,
        folder=DATA,
        out=TEACHER_OUTPUTS,
        record=TEACHER_OUTPUTS + "/.record.json",
        code=fingerprint("teacher_outputs"),
    threads: STUDY.compute["teacher_outputs"]["threads"]
    resources:
        **resources_of("teacher_outputs"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.teacher_outputs --data-spec {params.data:q} --model {params.model:q} "
        "--train-images {params.train_images} --augmentation {params.augmentation:q} --data {params.folder:q} --weights {input.weights:q} --out {params.out:q} "
        "--blocks {params.blocks} --gpus {resources.gpu}"
        + RECORD
