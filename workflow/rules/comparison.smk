# Every student with its teacher, block by block, at every kept checkpoint.
COMPARISON = RESULTS + "/comparison/{variant}/seed{seed}"
COMPARISON_TABLES = ["cka", "mismatch", "agreement"]


rule comparison:
    input:
        data=DATA_FILES,
        teacher=TEACHER + "/teacher.safetensors",
        weights=CHECKPOINTS,
    output:
        [f"{COMPARISON}/{table}.parquet" for table in COMPARISON_TABLES],
    log:
        LOGS + "/comparison/{variant}/seed{seed}.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.student.model),
        teacher_model=to_json(STUDY.teacher.model),
        comparison=to_json(STUDY.comparison),
        epochs=STUDY.student.checkpoints,
        folder=DATA,
        out=COMPARISON,
        record=COMPARISON + "/.record.json",
        code=fingerprint("comparison"),
    threads: STUDY.compute["comparison"]["threads"]
    resources:
        **resources_of("comparison"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.comparison --data-spec {params.data:q} --model {params.model:q} "
        "--teacher-model {params.teacher_model:q} --teacher {input.teacher:q} --comparison {params.comparison:q} "
        "--variant {wildcards.variant} --seed {wildcards.seed} --data {params.folder:q} --out {params.out:q} "
        "--epochs {params.epochs} --weights {input.weights:q} --gpus {resources.gpu}"
        + RECORD
