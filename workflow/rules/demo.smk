"""The embedded demo: simulated input, made only when the configuration points to it."""


rule simulate_demo:
    input:
        lib=library("simulate_demo.py"),
    output:
        genome="resources/demo/genome.fa.gz",
        archive="resources/demo/encode.zip",
        truth="resources/demo/truth.json",
        motifs="resources/demo/motifs.meme",
    log:
        "logs/simulate_demo.log",
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        args=config["simulate"],
        seed=config["seed"],
    script:
        "../scripts/simulate_demo.py"
