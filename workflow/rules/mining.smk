"""What a trained classifier is for: motifs, a scan of the genome, effects of variants, a folder of its own."""

MINING = config["mining"]
MOTIF_DATABASE = "resources/motifs/database.meme" + (
    ".gz" if (MINING["motifs"]["database"] or "").endswith(".gz") else ""
)


rule attribute:
    input:
        lib=library("attribute_sequences.py"),
        weights="results/classify/{dataset}/model.safetensors",
        card="results/classify/{dataset}/model.json",
        sequences=f"results/chipseq/{{dataset}}/{MINING['attribution']['part']}.tsv.gz",
    output:
        attributions="results/motifs/{dataset}/attributions.npz",
        logos=report(
            "results/motifs/{dataset}/top_sites.svg",
            category="Motifs",
            caption="../report/top_sites.rst",
            labels={"set": "{dataset}", "view": "strongest sites"},
        ),
    log:
        "logs/attribute/{dataset}.log",
    benchmark:
        "benchmarks/attribute/{dataset}.tsv"
    conda:
        "../envs/mining.yaml"
    threads: 2
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(attributing_needs),
        gpu_mem_mb=device_memory(attributing_on_device),
        runtime=growing(60),
    params:
        args={
            "most": MINING["attribution"]["sequences"],
            "method": MINING["attribution"]["method"],
        },
        seed=config["seed"],
    script:
        "../scripts/attribute_sequences.py"


rule find_motifs:
    input:
        lib=library("find_motifs.py"),
        attributions="results/motifs/{dataset}/attributions.npz",
    output:
        meme="results/motifs/{dataset}/motifs.meme",
        transfac="results/motifs/{dataset}/motifs.transfac",
        about="results/motifs/{dataset}/motifs.json",
    log:
        "logs/find_motifs/{dataset}.log",
    conda:
        "../envs/mining.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        args={key: MINING["motifs"][key] for key in ("finder", "most")},
    script:
        "../scripts/find_motifs.py"


rule get_motif_database:
    input:
        lib=library("get_file.py"),
        source=local_source(MINING["motifs"]["database"]),
    output:
        MOTIF_DATABASE,
    log:
        "logs/get_motif_database.log",
    cache: "omit-software"
    localrule: True  # where jobs run there may be no way out to the internet
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        source=lambda wildcards: source_place(MINING["motifs"]["database"]),
        checksum=MINING["motifs"]["checksum"],
    script:
        "../scripts/get_file.py"


rule match_motifs:
    input:
        lib=library("match_motifs.py"),
        motifs="results/motifs/{dataset}/motifs.meme",
        database=MOTIF_DATABASE,
    output:
        matches="results/motifs/{dataset}/matches.tsv",
    log:
        "logs/match_motifs/{dataset}.log",
    localrule: True
    conda:
        "../envs/mining.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    script:
        "../scripts/match_motifs.py"


rule write_motif_page:
    input:
        unpack(matches_of),
        lib=library("write_motif_page.py"),
        attributions="results/motifs/{dataset}/attributions.npz",
        motifs="results/motifs/{dataset}/motifs.meme",
        about="results/motifs/{dataset}/motifs.json",
    output:
        page=report(
            "results/motifs/{dataset}/index.html",
            category="Motifs",
            caption="../report/motifs.rst",
            labels={"set": "{dataset}", "view": "motifs, matches and sites"},
        ),
        table="results/motifs/{dataset}/motifs.tsv",
        sites="results/motifs/{dataset}/sites.tsv",
        logos=directory("results/motifs/{dataset}/logos"),
    log:
        "logs/write_motif_page/{dataset}.log",
    conda:
        "../envs/mining.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        database=database_name(),
    script:
        "../scripts/write_motif_page.py"


rule summarise_motifs:
    input:
        unpack(motif_summary_inputs),
        lib=library("summarise_motifs.py"),
    output:
        table=report(
            "results/summary/motifs.tsv",
            category="Motifs",
            caption="../report/motif_summary.rst",
            labels={"set": "all sets", "view": "table, tab-separated"},
        ),
        page=report(
            "results/summary/motifs.html",
            category="Motifs",
            caption="../report/motif_summary.rst",
            labels={"set": "all sets", "view": "best motif of each"},
        ),
    log:
        "logs/summarise_motifs.log",
    localrule: True
    conda:
        "../envs/mining.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
    params:
        rows=lambda wildcards: summary_rows(),
    script:
        "../scripts/summarise_motifs.py"


rule scan_genome:
    input:
        unpack(scanned_with),
        lib=library("scan_genome.py"),
        weights="results/classify/{dataset}/model.safetensors",
        card="results/classify/{dataset}/model.json",
        stats="results/chipseq/{dataset}/stats.json",
        index="results/genome/index.json",
        contigs="results/genome/contigs",
    output:
        bigwig="results/scan/{dataset}/scores.bw",
        calls="results/scan/{dataset}/calls.bed",
    log:
        "logs/scan_genome/{dataset}.log",
    benchmark:
        "benchmarks/scan_genome/{dataset}.tsv"
    conda:
        "../envs/mining.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(scanning_needs),
        gpu_mem_mb=device_memory(scanning_on_device),
        runtime=growing(720),
    params:
        args={
            key: MINING["scan"][key]
            for key in ("stride", "max_n", "threshold", "value", "precision")
        },
        # Beside the outputs without being one: what is finished survives a stop.
        parts=lambda wildcards, output: os.path.join(os.path.dirname(output.calls), "parts"),
    script:
        "../scripts/scan_genome.py"


rule plot_scan:
    input:
        lib=library("plot_scan.py"),
        bigwig="results/scan/{dataset}/scores.bw",
        calls="results/scan/{dataset}/calls.bed",
    output:
        plot=report(
            "results/scan/{dataset}/scan.svg",
            category="Scan",
            caption="../report/scan.rst",
            labels={"set": "{dataset}", "view": "scores and calls"},
        ),
    log:
        "logs/plot_scan/{dataset}.log",
    localrule: True
    conda:
        "../envs/mining.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
    params:
        value=MINING["scan"]["value"],
    script:
        "../scripts/plot_scan.py"


rule score_variants:
    input:
        unpack(models_of_good_sets),
        lib=library("score_variants.py"),
        vcf=outside(MINING["variants"]["vcf"]) if MINING["variants"]["vcf"] else [],
        index="results/genome/index.json",
        contigs="results/genome/contigs",
    output:
        vcf="results/variants/annotated.vcf.gz",
        table="results/variants/effects.tsv",
    log:
        "logs/score_variants.log",
    benchmark:
        "benchmarks/score_variants.tsv"
    conda:
        "../envs/mining.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(annotating_needs),
        gpu_mem_mb=device_memory(annotating_on_device),
        runtime=growing(480),
    params:
        args={
            key: MINING["variants"][key]
            for key in ("step", "max_n", "on_mismatch", "p_values", "null_size")
        },
        seed=config["seed"],
    script:
        "../scripts/score_variants.py"


rule plot_effects:
    input:
        lib=library("plot_effects.py"),
        table="results/variants/effects.tsv",
    output:
        plot=report(
            "results/variants/effects.svg",
            category="Variants",
            caption="../report/effects.rst",
            labels={"set": "all sets", "view": "changes of the log-odds"},
        ),
    log:
        "logs/plot_effects.log",
    localrule: True
    conda:
        "../envs/mining.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    script:
        "../scripts/plot_effects.py"
