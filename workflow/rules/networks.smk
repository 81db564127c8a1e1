# Measured networks: released weights are downloaded on the machine with internet access; then each network is pretrained
# here or loaded, with its control, and its accuracy is measured before use.
# Leaves:
#   results/shared/network_weights/<key>/{model.safetensors,source.json}
rule network_weights:
    output:
        touch("results/.flags/shared/network_weights/{network}/{key}"),
    log:
        "logs/shared/network_weights/{network}.{key}.log",
    localrule: True
    conda:
        ENVIRONMENT
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        task=lambda wildcards: GRAPH.released[wildcards.network].file,
    message:
        "Fetch the weights of {wildcards.network}"
    shell:
        CARRY_OUT


# Leaves:
#   results/shared/networks/<key>/{trained,control}.safetensors
#   results/shared/networks/<key>/{steps,epochs,terms}.parquet
#   results/shared/networks/<key>/logits_{validation,test}.npy
#   results/shared/networks/<key>/{result,cost}.json
rule network:
    input:
        lambda wildcards: flags_of(GRAPH.networks[wildcards.network].needs),
    output:
        touch("results/.flags/shared/networks/{network}/{key}"),
    log:
        "logs/shared/networks/{network}.{key}.log",
    # Students wait for their teacher; nothing waits for networks that are only measured.
    priority: lambda wildcards: 4 if wildcards.network in STUDY.teachers else 2
    conda:
        ENVIRONMENT
    threads: threads_of("network")
    resources:
        **resources_of("network"),
    params:
        task=lambda wildcards: GRAPH.networks[wildcards.network].file,
        launcher=lambda wildcards, resources: launcher("networks", resources),
        gpus=lambda wildcards, resources: gpus_of("networks", resources),
    message:
        "Make the network {wildcards.network} ready"
    shell:
        "exec {params.launcher} -m distillation_dynamics {params.task:q} --gpus {params.gpus} > {log:q} 2>&1"
