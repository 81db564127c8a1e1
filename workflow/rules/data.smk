# Images: decoded (or listed) once, and split into train, validation and test.
IN_MEMORY = STUDY.data.source == "parquet"
DATA_CONTENT = [files.sha256(path) for path in (STUDY.data.train, STUDY.data.test)] if IN_MEMORY else []
DATA_ID = shared_folder("data", STUDY.data, DATA_CONTENT)
DATA = f"{SHARED}/{DATA_ID}"
DATA_FILES = [f"{DATA}/splits.parquet"] + ([f"{DATA}/train.npy", f"{DATA}/test.npy"] if IN_MEMORY else [])


def images(wildcards):
    """The source files; their content hash is a parameter, modification times of a checkout mean nothing."""
    # Asked once in every plan, before it is decided what runs.
    force_stale_outputs()
    return ancient([STUDY.data.train, STUDY.data.test] if IN_MEMORY else [])


rule data:
    input:
        images,
    output:
        DATA_FILES,
    log:
        f"logs/shared/{DATA_ID}.log",
    params:
        data=to_json(STUDY.data),
        out=DATA,
        content=DATA_CONTENT,
        record=DATA + "/.record.json",
        code=fingerprint("data"),
    threads: STUDY.compute["data"]["threads"]
    resources:
        **resources_of("data"),
    conda:
        ENVIRONMENT
    shell:
        "python -m distillation_dynamics.data --data-spec {params.data:q} --out {params.out:q}"
        + RECORD
