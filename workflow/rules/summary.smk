"""All sets in one table."""


localrules:
    summarise,


rule summarise:
    input:
        unpack(summary_inputs),
        lib=library("summarise_results.py"),
    output:
        table=report(
            "results/summary/auc.tsv",
            category="Summary",
            caption="../report/summary.rst",
            labels={"view": "table, tab-separated"},
        ),
        html=report(
            "results/summary/auc.html",
            category="Summary",
            caption="../report/summary.rst",
            labels={"view": "table"},
        ),
        plot=report(
            "results/summary/auc.svg",
            category="Summary",
            caption="../report/dots.rst",
            labels={"view": "dot plot"},
        ),
    log:
        "logs/summarise.log",
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        rows=lambda wildcards: summary_rows(),
        benchmarks=lambda wildcards: summary_benchmarks(),
        bootstrap=config["evaluate"]["bootstrap"],
        seed=config["seed"],
    script:
        "../scripts/summarise_results.py"
