# The teacher: pretrained here, downloaded (on the machine that has a network), or a file; measured before any use.
TEACHER_CONTENT = files.sha256(STUDY.teacher.weights) if STUDY.teacher.source == "checkpoint" else None
TEACHER_ID = shared_folder("teacher", DATA_ID, STUDY.teacher, TEACHER_CONTENT)
TEACHER = f"{SHARED}/{TEACHER_ID}"
WEIGHTS = f"{SHARED}/weights/" + "".join(c if c.isalnum() or c in "._-" else "_" for c in STUDY.teacher.weights or "none")
TEACHER_WEIGHTS = {
    "pretrain": [],
    "timm": [f"{WEIGHTS}/model.safetensors"],
    "checkpoint": [ancient(STUDY.teacher.weights)],
}[STUDY.teacher.source]


if STUDY.teacher.source == "timm":

    rule teacher_weights:
        output:
            f"{WEIGHTS}/model.safetensors",
            f"{WEIGHTS}/record.json",
        log:
            "logs/shared/" + WEIGHTS.removeprefix(SHARED + "/") + ".log",
        params:
            teacher=to_json(STUDY.teacher),
            out=WEIGHTS,
            record=WEIGHTS + "/.record.json",
        localrule: True
        resources:
            mem_mb=2000,
            runtime=60,
        conda:
            ENVIRONMENT
        shell:
            "python -m distillation_dynamics.teacher --teacher {params.teacher:q} --data-spec '' --out {params.out:q} "
            "--gpus 0 --minutes 0"
            + RECORD


rule teacher:
    input:
        data=DATA_FILES,
        weights=TEACHER_WEIGHTS,
    output:
        TEACHER + "/teacher.safetensors",
        TEACHER + "/untrained.safetensors",
        TEACHER + "/logits_validation.npy",
        TEACHER + "/logits_test.npy",
        TEACHER + "/steps.parquet",
        TEACHER + "/epochs.parquet",
        TEACHER + "/result.json",
        TEACHER + "/cost.json",
    log:
        f"logs/shared/{TEACHER_ID}.log",
    params:
        data=to_json(STUDY.data),
        teacher=to_json(STUDY.teacher),
        folder=DATA,
        out=TEACHER,
        content=TEACHER_CONTENT,
        record=TEACHER + "/.record.json",
        minutes=minutes_between_states,
        # Like the minutes no reason to run again.
        launcher=lambda wildcards, resources: launcher("teacher", resources),
        gpus=lambda wildcards, resources: gpus_of("teacher", resources),
        code=fingerprint("teacher", "objectives.cross_entropy"),
    threads: STUDY.compute["teacher"]["threads"]
    resources:
        **resources_of("teacher"),
    conda:
        ENVIRONMENT
    shell:
        "exec {params.launcher} -m distillation_dynamics.teacher --teacher {params.teacher:q} --data-spec {params.data:q} "
        "--minutes {params.minutes} --data {params.folder:q} --weights {input.weights:q} --out {params.out:q} "
        "--gpus {params.gpus}"
        + RECORD
