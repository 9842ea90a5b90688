"""The language model, trained once on the genome."""


rule pretrain_lm:
    input:
        lib=library("pretrain_lm.py"),
        index="results/genome/index.json",
        contigs="results/genome/contigs",
    output:
        # One prefix, since the between-workflow cache asks for it.
        multiext(
            "results/pretrain/",
            weights="model.safetensors",
            card="model.json",
            metrics="metrics.json",
            history="metrics.jsonl",
        ),
    log:
        "logs/pretrain_lm.log",
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
        gpu_mem_mb=device_memory(pretraining_on_device),
        runtime=1440,
    params:
        architecture=architecture(),
        args=config["pretrain"],
        seed=config["seed"],
        checkpoint=checkpoint_beside,
    script:
        "../scripts/pretrain_lm.py"
