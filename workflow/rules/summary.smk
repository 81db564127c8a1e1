# Accuracy, agreement and cost of every run and variant.
SUMMARY = RESULTS + "/summary"
SUMMARY_TABLES = ["runs", "epochs", "summary", "cost"]
RUN_FILES = ("logits_validation.npy", "logits_test.npy", "epochs.parquet", "result.json", "cost.json")


rule summary:
    input:
        [f"{TEACHER}/{name}" for name in RUN_FILES],
        expand(STUDENT + "/{name}", variant=STUDY.variants, seed=STUDY.seeds, name=RUN_FILES),
    output:
        [f"{SUMMARY}/{table}.parquet" for table in SUMMARY_TABLES],
        SUMMARY + "/summary.md",
        SUMMARY + "/cost.md",
    log:
        LOGS + "/summary.log",
    params:
        teacher=TEACHER,
        students=expand(STUDENT, variant=STUDY.variants, seed=STUDY.seeds),
        out=SUMMARY,
        record=SUMMARY + "/.record.json",
        code=fingerprint("summary"),
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: STUDY.compute["tables"]["threads"]
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.summary --teacher {params.teacher:q} --students {params.students:q} "
        "--out {params.out:q}"
        + RECORD
