# Results of all networks: tables of metrics, summary, statistics, report, figures and page; the due ones run in one process,
# or few.
# Each keeps its own key, record and files; what follows from one that fails is not made.
# Leaves:
#   results/<study>/tables/<table>.parquet
#   results/<study>/summary/{<table>.parquet,summary.md,cost.md}
#   results/<study>/statistics/{<table>.parquet,numbers.json}
#   results/<study>/statistics/{summary.md,report.md,methods.md,report.json}
#   results/<study>/figures/<figure>.{pdf,png}
#   results/<study>/paper/{main.tex,numbers.tex,methods.tex,references.bib}
#   results/<study>/paper/tables/<table>.tex
#   results/<study>/paper/figures/<figure>.{tex,pdf}
#   results/<study>/index.html
rule gather:
    input:
        members_of("tables"),
    output:
        temp(touch("results/.flags/batches/tables/{batch}")),
    log:
        f"{LOGS}/tables/{{batch}}.log",
    conda:
        ENVIRONMENT
    threads: threads_of("gather")
    resources:
        **resources_of("gather"),
    params:
        task=f"{batches.BATCHES}/tables/{{batch}}.json",
        labels=labels_of("tables"),
    message:
        "Gather {params.labels}"
    shell:
        CARRY_OUT
