# Features of every block and what is measured on them: the teacher before and after training, every kept student.
FEATURES = RESULTS + "/features"
FEATURE_TABLES = ["depth", "spectrum", "scalars"]
FEATURE_CODE = fingerprint("features", *(f"metrics.{metric}" for metric in STUDY.features.metrics))
# Where all models find the range of the entropy that may be compared between them.
RANGE = [FEATURES + "/teacher/range.json"] if "entropy" in STUDY.features.metrics else []
TEACHER_STATES = {"teacher": "trained", "teacher_untrained": "untrained"}
TEACHER_EPOCH = STUDY.teacher.recipe.epochs if STUDY.teacher.source == "pretrain" else -1
EPOCH_FOLDERS = [f"epoch{epoch:03d}" for epoch in STUDY.student.checkpoints]


def block_files(folder, model_facts):
    """The dumps of all blocks in a folder, and the sums over all images."""
    blocks = [f"{folder}/block{block:02d}.npy" for block in range(len(model_facts.shapes))]
    return [*blocks, f"{folder}/meta.json", f"{folder}/sums.safetensors"]


rule teacher_features:
    input:
        data=DATA_FILES,
        weights=[TEACHER + "/teacher.safetensors", TEACHER + "/untrained.safetensors"],
        fixed_range=[],
    output:
        [block_files(f"{FEATURES}/teacher/{state}", STUDY.teacher_facts) for state in TEACHER_STATES.values()],
        [f"{FEATURES}/teacher/{table}.parquet" for table in FEATURE_TABLES],
        RANGE,
    log:
        LOGS + "/features/teacher.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.teacher.model),
        probe=to_json(STUDY.features),
        names=list(TEACHER_STATES),
        folders=list(TEACHER_STATES.values()),
        epochs=[TEACHER_EPOCH, 0],
        folder=DATA,
        out=FEATURES + "/teacher",
        record=FEATURES + "/teacher/.record.json",
        seed=-1,
        code=FEATURE_CODE,
    threads: STUDY.compute["features"]["threads"]
    resources:
        **resources_of("features"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.features --data-spec {params.data:q} --model {params.model:q} "
        "--probe {params.probe:q} --seed {params.seed} --data {params.folder:q} --out {params.out:q} "
        "--names {params.names} --epochs {params.epochs} --weights {input.weights:q} --folders {params.folders} "
        "--fixed_range {input.fixed_range:q} --gpus {resources.gpu}"
        + RECORD


use rule teacher_features as student_features with:
    input:
        data=DATA_FILES,
        weights=CHECKPOINTS,
        fixed_range=RANGE,
    output:
        [block_files(f"{FEATURES}/students/{{variant}}/seed{{seed}}/{folder}", STUDY.student_facts) for folder in EPOCH_FOLDERS],
        [f"{FEATURES}/students/{{variant}}/seed{{seed}}/{table}.parquet" for table in FEATURE_TABLES],
    log:
        LOGS + "/features/{variant}/seed{seed}.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.student.model),
        probe=to_json(STUDY.features),
        names=lambda wildcards: [wildcards.variant] * len(EPOCH_FOLDERS),
        folders=EPOCH_FOLDERS,
        epochs=STUDY.student.checkpoints,
        folder=DATA,
        out=FEATURES + "/students/{variant}/seed{seed}",
        record=FEATURES + "/students/{variant}/seed{seed}/.record.json",
        seed=lambda wildcards: wildcards.seed,
        code=FEATURE_CODE,
