# Parts of a study by name: `snakemake --cores all networks`, `students`, `tables`, `figures` or `report`; and any file of it
# by its path: `snakemake --cores all results/default/figures/effects.png`.
rule networks:
    input:
        lambda wildcards: flags_of(GRAPH.of(*TARGETS["networks"])),


rule students:
    input:
        lambda wildcards: flags_of(GRAPH.of(*TARGETS["students"])),


rule tables:
    input:
        lambda wildcards: flags_of(GRAPH.of(*TARGETS["tables"])),


rule figures:
    input:
        lambda wildcards: flags_of(GRAPH.of(*TARGETS["figures"])),
        shown("figures"),


rule report:
    input:
        lambda wildcards: flags_of(GRAPH.of(*TARGETS["report"])),
        shown("report"),


# Does nothing: the file is there when its task is done, whose flag this waits for (docs/architecture.md says why).
rule file:
    input:
        lambda wildcards: flags_of([writer_of(wildcards)]),
    output:
        "results/{place}/{path}",
