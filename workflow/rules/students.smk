# One student a variant and seed.
STUDENT = RESULTS + "/students/{variant}/seed{seed}"
CHECKPOINTS = [f"{STUDENT}/checkpoints/epoch{epoch:03d}.safetensors" for epoch in STUDY.student.checkpoints]


def teacher_of(wildcards):
    """The teacher's weights, for the variants that ask it anything."""
    return [TEACHER + "/teacher.safetensors"] if STUDY.needs_teacher(wildcards.variant) else []


def stored_outputs_of(wildcards):
    """The teacher's stored outputs that a variant reads."""
    if not (STUDY.caches_teacher and STUDY.needs_teacher(wildcards.variant)):
        return []
    return teacher_output_files(STUDY.needs_logits(wildcards.variant), STUDY.teacher_blocks(wildcards.variant))


rule students:
    input:
        data=DATA_FILES,
        teacher=teacher_of,
        # A function of the teacher, the images and this rule's parameters: when another variant adds a block to it,
        # these files are written anew with the same content, which is no reason to train again.
        outputs=lambda wildcards: ancient(stored_outputs_of(wildcards)),
    output:
        CHECKPOINTS,
        STUDENT + "/objective.safetensors",
        STUDENT + "/logits_validation.npy",
        STUDENT + "/logits_test.npy",
        STUDENT + "/steps.parquet",
        STUDENT + "/epochs.parquet",
        STUDENT + "/result.json",
        STUDENT + "/cost.json",
    log:
        LOGS + "/students/{variant}/seed{seed}.log",
    params:
        data=to_json(STUDY.data),
        model=to_json(STUDY.student.model),
        recipe=to_json(STUDY.student.recipe),
        checkpoints=STUDY.student.checkpoints,
        teacher_model=lambda wildcards: to_json(STUDY.teacher.model if STUDY.needs_teacher(wildcards.variant) else None),
        teacher_facts=lambda wildcards: to_json(STUDY.teacher_facts if STUDY.needs_teacher(wildcards.variant) else {"parameters": 0, "shapes": []}),
        student_facts=to_json(STUDY.student_facts),
        terms=lambda wildcards: to_json(STUDY.variants[wildcards.variant]),
        outputs=lambda wildcards: [TEACHER_OUTPUTS] if stored_outputs_of(wildcards) else [],
        folder=DATA,
        out=STUDENT,
        record=STUDENT + "/.record.json",
        minutes=minutes_between_states,
        # Like the minutes no reason to run again.
        launcher=lambda wildcards, resources: launcher("students", resources),
        gpus=lambda wildcards, resources: gpus_of("students", resources),
        code=lambda wildcards: fingerprint(
            "students", *(f"objectives.{term.name}" for term in STUDY.variants[wildcards.variant])
        ),
    threads: STUDY.compute["students"]["threads"]
    resources:
        **resources_of("students"),
    conda:
        ENVIRONMENT
    shell:
        "exec {params.launcher} -m distillation_dynamics.students --data-spec {params.data:q} --model {params.model:q} "
        "--recipe {params.recipe:q} --terms {params.terms:q} --student-facts {params.student_facts:q} "
        "--teacher-facts {params.teacher_facts:q} --teacher-model {params.teacher_model:q} --seed {wildcards.seed} "
        "--data {params.folder:q} --out {params.out:q} --checkpoints {params.checkpoints} "
        "--minutes {params.minutes} --teacher {input.teacher:q} --teacher_outputs {params.outputs:q} --gpus {params.gpus}"
        + RECORD
