# Saliency maps and layer-wise gradient maps of a few images: the teacher before and after training, every kept student.
rule saliency:
    input:
        measured("saliency"),
    output:
        touch(STAMPS + "/saliency/{network}/{key}"),
    log:
        LOGS + "/saliency/{network}.{key}.log",
    params:
        record=record_of("saliency"),
        failed=failed_of("saliency"),
    message:
        "See to the saliency of {wildcards.network}"
    localrule: True
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    shell:
        SEE_TO_IT
