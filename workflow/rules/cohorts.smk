# Due trainings, several of one seed per job; they fill the store, results/shared/runs/<key>/. A training that diverges
# fails alone; the rule that publishes its run reports the error.
# Leaves:
#   results/shared/runs/<key>/{checkpoints/epoch<nnn>,objective}.safetensors
#   results/shared/runs/<key>/{steps,epochs,terms,term_gradients}.parquet
#   results/shared/runs/<key>/logits_{validation,test}.npy
#   results/shared/runs/<key>/{result,cost}.json
rule cohorts:
    input:
        members_of("cohorts"),
    output:
        temp(touch("results/.flags/batches/cohorts/{batch}")),
    log:
        f"{LOGS}/cohorts/{{batch}}.log",
    # Before measurements, whose shorter jobs fill the cores at the end.
    priority: 3
    conda:
        ENVIRONMENT
    threads: threads_of("cohorts")
    resources:
        **resources_of("cohorts"),
    params:
        task=f"{batches.BATCHES}/cohorts/{{batch}}.json",
        launcher=lambda wildcards, resources: launcher("students", resources),
        gpus=lambda wildcards, resources: gpus_of("students", resources),
        labels=labels_of("cohorts"),
    message:
        "Train {params.labels}"
    shell:
        "exec {params.launcher} -m distillation_dynamics {params.task:q} --gpus {params.gpus} > {log:q} 2>&1"
