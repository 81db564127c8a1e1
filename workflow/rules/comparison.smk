# Every student with its teacher, block by block, at every kept checkpoint.
rule comparison:
    input:
        measured("comparison"),
    output:
        touch(STAMPS + "/comparison/{network}/{key}"),
    log:
        LOGS + "/comparison/{network}.{key}.log",
    params:
        record=record_of("comparison"),
        failed=failed_of("comparison"),
    message:
        "See to the comparison of {wildcards.network}"
    localrule: True
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    shell:
        SEE_TO_IT
