# Images: decoded (or listed) once, and split into train, validation and test.
DATA = RESULTS + "/data"
IN_MEMORY = STUDY.data.source == "parquet"
DATA_FILES = [f"{DATA}/splits.parquet"] + ([f"{DATA}/train.npy", f"{DATA}/test.npy"] if IN_MEMORY else [])


rule data:
    input:
        # The content hash below is the key; modification times of a checkout mean nothing.
        ancient([STUDY.data.train, STUDY.data.test] if IN_MEMORY else []),
    output:
        DATA_FILES,
    log:
        LOGS + "/data.log",
    params:
        data=to_json(STUDY.data),
        out=DATA,
        content=[files.sha256(path) for path in (STUDY.data.train, STUDY.data.test)] if IN_MEMORY else [],
        code=fingerprint("data"),
    threads: needs("data", "threads")
    resources:
        gpu=needs("data", "gpu"),
        mem_mb=needs("data", "mem_mb"),
        runtime=needs("data", "runtime"),
    shell:
        "python -m distillation_dynamics.data --data-spec {params.data:q} --out {params.out:q} --threads {threads} "
        "> {log:q} 2>&1"
