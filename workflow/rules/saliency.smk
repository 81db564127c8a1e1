# Saliency maps and layer-wise gradient maps of a few images: the teacher before and after training, every kept student.
SALIENCY = RESULTS + "/saliency"
SALIENCY_TABLES = ["saliency", "gradient_maps"]


rule teacher_saliency:
    input:
        data=DATA_FILES,
        weights=[TEACHER + "/teacher.safetensors", TEACHER + "/untrained.safetensors"],
    output:
        [f"{SALIENCY}/teacher/{table}.parquet" for table in SALIENCY_TABLES],
    log:
        LOGS + "/saliency/teacher.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.teacher.model),
        settings=to_json(STUDY.saliency),
        names=list(TEACHER_STATES),
        epochs=[TEACHER_EPOCH, 0],
        folder=DATA,
        out=SALIENCY + "/teacher",
        record=SALIENCY + "/teacher/.record.json",
        seed=-1,
        code=fingerprint("saliency"),
    threads: STUDY.compute["saliency"]["threads"]
    resources:
        **resources_of("saliency"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.saliency --data-spec {params.data:q} --model {params.model:q} "
        "--settings {params.settings:q} --seed {params.seed} --data {params.folder:q} --out {params.out:q} "
        "--names {params.names} --epochs {params.epochs} --weights {input.weights:q} --gpus {resources.gpu}"
        + RECORD


use rule teacher_saliency as student_saliency with:
    input:
        data=DATA_FILES,
        weights=CHECKPOINTS,
    output:
        [f"{SALIENCY}/students/{{variant}}/seed{{seed}}/{table}.parquet" for table in SALIENCY_TABLES],
    log:
        LOGS + "/saliency/{variant}/seed{seed}.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.student.model),
        settings=to_json(STUDY.saliency),
        names=lambda wildcards: [wildcards.variant] * len(STUDY.student.checkpoints),
        epochs=STUDY.student.checkpoints,
        folder=DATA,
        out=SALIENCY + "/students/{variant}/seed{seed}",
        record=SALIENCY + "/students/{variant}/seed{seed}/.record.json",
        seed=lambda wildcards: wildcards.seed,
        code=fingerprint("saliency"),
