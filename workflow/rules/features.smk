# Features of every block and what is measured on them: the teacher before and after training, every kept student.
rule features:
    input:
        measured("features"),
    output:
        touch(STAMPS + "/features/{network}/{key}"),
    log:
        LOGS + "/features/{network}.{key}.log",
    params:
        record=record_of("features"),
        failed=failed_of("features"),
    message:
        "See to the features of {wildcards.network}"
    localrule: True
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    shell:
        SEE_TO_IT
