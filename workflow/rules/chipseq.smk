"""The ChIP-seq sets: fetched, listed, split or cut out of the genome, looked up in it."""

ARCHIVE = "resources/chipseq/archive" + (
    ending_of(config["datasets"]["source"] or "", ARCHIVE_ENDINGS) or ".zip"
)


rule get_chipseq_archive:
    input:
        lib=library("get_file.py"),
        source=local_source(config["datasets"]["source"]),
    output:
        ARCHIVE,
    log:
        "logs/get_chipseq_archive.log",
    cache: "omit-software"
    localrule: True  # where jobs run there may be no way out to the internet
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(120),
    params:
        source=lambda wildcards: source_place(config["datasets"]["source"]),
        checksum=config["datasets"]["checksum"],
    script:
        "../scripts/get_file.py"


rule unpack_chipseq:
    input:
        lib=library("unpack_chipseq.py"),
        archive=ARCHIVE,
    output:
        folder=directory("resources/chipseq/archive"),
    log:
        "logs/unpack_chipseq.log",
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    script:
        "../scripts/unpack_chipseq.py"


checkpoint index_chipseq:
    input:
        lib=library("index_chipseq.py"),
        folder=chipseq_folder(),
    output:
        sheet="results/chipseq/datasets.tsv",
    log:
        "logs/index_chipseq.log",
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        files=sets_in_folder,
    script:
        "../scripts/index_chipseq.py"


rule get_chipseq:
    input:
        chipseq_files,
        lib=library("get_chipseq.py"),
    output:
        train="resources/chipseq/{dataset}_AC.seq.gz",
        test="resources/chipseq/{dataset}_B.seq.gz",
    log:
        "logs/get_chipseq/{dataset}.log",
    localrule: True  # where jobs run there may be no way out to the internet
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(30),
    params:
        source=chipseq_source,
    script:
        "../scripts/get_chipseq.py"


checkpoint split_chipseq:
    input:
        lib=library("split_chipseq.py"),
        train="resources/chipseq/{dataset}_AC.seq.gz",
        test="resources/chipseq/{dataset}_B.seq.gz",
    output:
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
        stats="results/chipseq/{dataset}/stats.json",
        seconds="results/chipseq/{dataset}/seconds/split.json",
    log:
        "logs/split_chipseq/{dataset}.log",
    wildcard_constraints:
        dataset=other_than(PEAK_SETS),
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(splitting_needs),
        runtime=growing(20),
    params:
        args=config["chipseq"],
        seed=config["seed"],
        dataset="{dataset}",
    script:
        "../scripts/split_chipseq.py"


rule get_peaks:
    input:
        lib=library("get_file.py"),
        source=lambda wildcards: local_source(row_of(wildcards.dataset)["peaks"]),
    output:
        "resources/peaks/{dataset}.peaks",
    log:
        "logs/get_peaks/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(PEAK_SETS),
    localrule: True  # where jobs run there may be no way out to the internet
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(30),
    params:
        source=lambda wildcards: row_of(wildcards.dataset)["peaks"],
        checksum=lambda wildcards: sheet_checksum(wildcards, "peaks"),
    script:
        "../scripts/get_file.py"


rule get_negatives:
    input:
        lib=library("get_file.py"),
        source=lambda wildcards: local_source(row_of(wildcards.dataset)["negatives"]),
    output:
        "resources/peaks/{dataset}.negatives",
    log:
        "logs/get_negatives/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(PEAK_SETS),
    localrule: True  # where jobs run there may be no way out to the internet
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(30),
    params:
        source=lambda wildcards: row_of(wildcards.dataset)["negatives"],
        checksum=lambda wildcards: sheet_checksum(wildcards, "negatives"),
    script:
        "../scripts/get_file.py"


checkpoint split_peaks:
    input:
        unpack(peak_files),
        lib=library("split_peaks.py"),
        index="results/genome/index.json",
        contigs="results/genome/contigs",
    output:
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
        stats="results/chipseq/{dataset}/stats.json",
        seconds="results/chipseq/{dataset}/seconds/split.json",
    log:
        "logs/split_peaks/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(PEAK_SETS),
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(splitting_peaks_needs),
        runtime=growing(30),
    params:
        split=peak_split,
        seed=config["seed"],
        dataset="{dataset}",
    script:
        "../scripts/split_peaks.py"


rule check_leaks:
    input:
        unpack(corpus_of_any),
        lib=library("check_leaks.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
    output:
        leaks="results/chipseq/{dataset}/leaks.json",
        seconds="results/chipseq/{dataset}/seconds/check_leaks.json",
    log:
        "logs/check_leaks/{dataset}.log",
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(checking_needs),
        runtime=growing(30),
    params:
        dataset="{dataset}",
        width=config["chipseq"]["near_duplicate_width"],
        windows=windows_shown(),
    script:
        "../scripts/check_leaks.py"
