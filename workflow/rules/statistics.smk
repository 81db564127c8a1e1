# Three questions: is it U-shaped, does a variant help, which layers to align; tables and a report in words.
STATISTICS = RESULTS + "/statistics"
STATISTICS_TABLES = ["shape", "minimum", "differences", "variants", "mcnemar", "trajectory", "alignment"]
# Which blocks of student and teacher each variant aligns.
PAIRS = {
    variant: sorted({pair for term in terms for pair in term.pairs}) for variant, terms in STUDY.variants.items()
}


rule statistics:
    input:
        scalars=[
            FEATURES + "/teacher/scalars.parquet",
            *expand(
                FEATURES + "/students/{variant}/seed{seed}/scalars.parquet", variant=STUDY.variants, seed=STUDY.seeds
            ),
        ],
        runs=SUMMARY + "/runs.parquet",
        epochs=SUMMARY + "/epochs.parquet",
        cka=METRICS + "/cka.parquet",
        mismatch=METRICS + "/mismatch.parquet",
        logits=expand(STUDENT + "/logits_test.npy", variant=STUDY.variants, seed=STUDY.seeds),
        splits=DATA + "/splits.parquet",
    output:
        [f"{STATISTICS}/{table}.parquet" for table in STATISTICS_TABLES],
        STATISTICS + "/report.md",
    log:
        LOGS + "/statistics.log",
    params:
        baseline=STUDY.baseline,
        pairs=to_json(PAIRS),
        students=expand(STUDENT, variant=STUDY.variants, seed=STUDY.seeds),
        out=STATISTICS,
        record=STATISTICS + "/.record.json",
        code=fingerprint("statistics.__main__"),
    # On a cluster all tables and figures are one job.
    group: "tables"
    threads: STUDY.compute["tables"]["threads"]
    resources:
        **resources_of("tables"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.statistics --baseline {params.baseline:q} --pairs {params.pairs:q} "
        "--out {params.out:q} --scalars {input.scalars:q} --runs {input.runs:q} --epochs {input.epochs:q} "
        "--cka {input.cka:q} --mismatch {input.mismatch:q} --students {params.students:q} --splits {input.splits:q}"
        + RECORD
