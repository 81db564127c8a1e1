# Parts of a study by name: `snakemake --cores all networks`, `students`, `tables`, `figures` or `report`.
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
