"""All sets in one table, all methods in another, and the record of it all."""


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
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        rows=lambda wildcards: summary_rows(),
        benchmarks=lambda wildcards: summary_benchmarks(),
        bootstrap=config["evaluate"]["bootstrap"],
        seed=config["seed"],
    script:
        "../scripts/summarise_results.py"


rule write_methods:
    input:
        unpack(methods_inputs),
        lib=library("write_methods.py"),
    output:
        text=report(
            "results/summary/methods.md",
            category="Summary",
            caption="../report/methods_text.rst",
            labels={"view": "methods section for a paper"},
        ),
    log:
        "logs/write_methods.log",
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        config=config,
        rows=lambda wildcards: summary_rows(),
        snakemake=SNAKEMAKE,
    script:
        "../scripts/write_methods.py"


rule compare_methods:
    input:
        unpack(comparison_inputs),
        lib=library("compare_methods.py"),
    output:
        table=report(
            "results/summary/methods.tsv",
            category="Comparison",
            caption="../report/methods.rst",
            labels={"view": "all scores, tab-separated"},
        ),
        comparison=report(
            "results/summary/comparison.tsv",
            category="Comparison",
            caption="../report/comparison.rst",
            labels={"view": "statistics, tab-separated"},
        ),
        page=report(
            "results/summary/comparison.html",
            category="Comparison",
            caption="../report/comparison.rst",
            labels={"view": "scores by set, and statistics"},
        ),
        plot=report(
            "results/summary/comparison.svg",
            category="Comparison",
            caption="../report/methods_dots.rst",
            labels={"view": "dot plot"},
        ),
        ranks=report(
            "results/summary/ranks.svg",
            category="Comparison",
            caption="../report/ranks.rst",
            labels={"view": "mean ranks"},
        ),
    log:
        "logs/compare_methods.log",
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        rows=lambda wildcards: summary_rows(),
        runs=finished_runs,
        args=config["comparison"],
        seed=config["seed"],
    script:
        "../scripts/compare_methods.py"


rule write_provenance:
    input:
        unpack(provenance_inputs),
        lib=library("write_provenance.py"),
    output:
        record=report(
            "results/summary/provenance.json",
            category="Summary",
            caption="../report/provenance.rst",
            labels={"view": "provenance and checksums"},
        ),
    log:
        "logs/write_provenance.log",
    localrule: True
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(60),
    params:
        told=lambda wildcards: provenance_told(),
    script:
        "../scripts/write_provenance.py"
