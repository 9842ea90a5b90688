"""The language model, trained once on the genome, and once more for methods with another one."""


rule pretrain_lm:
    input:
        lib=library("pretrain_lm.py"),
        index="results/genome/index.json",
        contigs="results/genome/contigs",
    output:
        # One prefix, since the between-workflow cache asks for it.
        multiext(
            "results/{at}pretrain/",
            weights="model.safetensors",
            card="model.json",
            metrics="metrics.json",
            history="metrics.jsonl",
        ),
    log:
        "logs/{at}pretrain_lm.log",
    wildcard_constraints:
        at=folders_of("model"),
    # Snakemake allows no benchmark beside a cache, which has no time to tell.
    cache: True
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        # Without GPUs: how many processes share out the streams, with the threads between them.
        processes=1,
        mem_mb=memory(pretraining_needs),
        runtime=1440,
    params:
        architecture=architecture,
        args=setting("pretrain"),
        seed=config["seed"],
        checkpoint=checkpoint_beside,
    script:
        "../scripts/pretrain_lm.py"
