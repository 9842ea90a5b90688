"""The genome: fetched once, kept as base codes."""

GENOME = "resources/genome/genome.fa" + (
    ".gz" if urlsplit(config["genome"]["source"]).path.endswith(".gz") else ""
)


rule get_genome:
    input:
        lib=library("get_file.py"),
        source=local_source(config["genome"]["source"]),
    output:
        GENOME,
    log:
        "logs/get_genome.log",
    cache: "omit-software"
    priority: 1  # all sets wait for it
    localrule: True  # where jobs run there may be no way out to the internet
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(240),
    params:
        source=lambda wildcards: source_place(config["genome"]["source"]),
        checksum=config["genome"]["checksum"],
    script:
        "../scripts/get_file.py"


rule shard_genome:
    input:
        lib=library("shard_genome.py"),
        genome=GENOME,
    output:
        index="results/genome/index.json",
        contigs=directory("results/genome/contigs"),
    log:
        "logs/shard_genome.log",
    benchmark:
        "benchmarks/shard_genome.tsv"
    priority: 1  # all sets wait for it
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(sharding_needs),
        runtime=growing(60),
    params:
        args={
            key: config["genome"][key]
            for key in ("include", "exclude", "validation", "soft_masked")
        },
    script:
        "../scripts/shard_genome.py"


rule withhold_tests:
    input:
        unpack(test_parts),
        lib=library("withhold_tests.py"),
        index="results/genome/index.json",
        contigs="results/genome/contigs",
    output:
        "results/genome/withheld.bed",
    log:
        "logs/withhold_tests.log",
    benchmark:
        "benchmarks/withhold_tests.tsv"
    priority: 1  # all sets wait for it
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(withholding_needs),
        runtime=growing(60),
    params:
        width=config["chipseq"]["near_duplicate_width"],
    script:
        "../scripts/withhold_tests.py"
