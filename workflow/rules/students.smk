# One student per variant and seed: its finished run, linked from the store. It waits for a cohort only if the store lacks
# its key.
# Leaves:
#   results/<study>/students/<variant>/seed<k>/{checkpoints/epoch<nnn>,objective}.safetensors
#   results/<study>/students/<variant>/seed<k>/{steps,epochs,terms,term_gradients}.parquet
#   results/<study>/students/<variant>/seed<k>/logits_{validation,test}.npy
#   results/<study>/students/<variant>/seed<k>/{result,cost}.json
rule student:
    input:
        lambda wildcards: batch_of(student(wildcards).needs[0]),
    output:
        touch(f"results/.flags/{STUDY.name}/students/{{variant}}/seed{{seed}}/{{key}}"),
    log:
        f"{LOGS}/students/{{variant}}/seed{{seed}}.{{key}}.log",
    # Immediately, since its measurements wait for it.
    priority: 5
    localrule: True
    conda:
        ENVIRONMENT
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    params:
        task=lambda wildcards: student(wildcards).file,
        run=lambda wildcards: student(wildcards).needs[0].file,
    message:
        "Publish the student {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m distillation_dynamics.jobs.publish {params.task:q} {params.run:q} > {log:q} 2>&1"
