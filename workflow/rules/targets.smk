# Parts of a study by name: `snakemake --cores all networks`, `students`, `tables`, `figures` or `report`.
rule networks:
    input:
        lambda wildcards: stamps_of(CHAIN.of(*TARGETS["networks"])),


rule students:
    input:
        lambda wildcards: stamps_of(CHAIN.of(*TARGETS["students"])),


rule tables:
    input:
        lambda wildcards: stamps_of(CHAIN.of(*TARGETS["tables"])),


rule figures:
    input:
        lambda wildcards: stamps_of(CHAIN.of(*TARGETS["figures"])),
        shown("figures"),


rule report:
    input:
        lambda wildcards: stamps_of(CHAIN.of(*TARGETS["report"])),
        shown("report"),
