# Features of every block and what is measured on them: the teacher before and after training, every kept student.
FEATURES = RESULTS + "/features"
TABLES = ["depth", "spectrum", "scalars"]
TEACHER_STATES = {"teacher": "trained", "teacher_untrained": "untrained"}
TEACHER_EPOCH = STUDY.teacher.recipe.epochs if STUDY.teacher.source == "pretrain" else -1
EPOCH_FOLDERS = [f"epoch{epoch:03d}" for epoch in STUDY.student.checkpoints]


def block_files(folder, model_facts):
    """The dumps of all blocks in a folder."""
    return [f"{folder}/block{block:02d}.npy" for block in range(len(model_facts.shapes))] + [f"{folder}/meta.json"]


rule teacher_features:
    input:
        data=DATA_FILES,
        weights=[TEACHER + "/teacher.safetensors", TEACHER + "/untrained.safetensors"],
    output:
        [block_files(f"{FEATURES}/teacher/{state}", STUDY.teacher_facts) for state in TEACHER_STATES.values()],
        [f"{FEATURES}/teacher/{table}.parquet" for table in TABLES],
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
        code=fingerprint("features"),
    threads: STUDY.compute["features"]["threads"]
    resources:
        **resources_of("features"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.features --data-spec {params.data:q} --model {params.model:q} "
        "--probe {params.probe:q} --seed {params.seed} --data {params.folder:q} --out {params.out:q} "
        "--names {params.names} --epochs {params.epochs} --weights {input.weights:q} --folders {params.folders} "
        "--gpus {resources.gpu}"
        + RECORD


use rule teacher_features as student_features with:
    input:
        data=DATA_FILES,
        weights=CHECKPOINTS,
    output:
        [block_files(f"{FEATURES}/students/{{variant}}/seed{{seed}}/{folder}", STUDY.student_facts) for folder in EPOCH_FOLDERS],
        [f"{FEATURES}/students/{{variant}}/seed{{seed}}/{table}.parquet" for table in TABLES],
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
        code=fingerprint("features"),
