"""The language model, trained once on the genome, and once more for methods with another one."""


rule pretrain_lm:
    input:
        unpack(corpus),
        lib=library("pretrain_lm.py"),
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
    priority: 1  # all sets wait for it
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        gpu_share=100,
        # Without GPUs: how many processes share out the streams, with the threads between them.
        processes=1,
        mem_mb=memory(pretraining_needs),
        gpu_mem_mb=device_memory(pretraining_on_device),
        runtime=growing(1440),
    params:
        architecture=architecture,
        args=without("pretrain", "checkpoint_minutes"),
        seed=config["seed"],
    script:
        "../scripts/pretrain_lm.py"


rule discriminate_genome:
    input:
        unpack(pretrained_model),
        unpack(corpus),
        lib=library("discriminate_genome.py"),
    output:
        weights="results/{at}discriminate/model.safetensors",
        card="results/{at}discriminate/model.json",
        metrics="results/{at}discriminate/metrics.json",
        history="results/{at}discriminate/metrics.jsonl",
    log:
        "logs/{at}discriminate_genome.log",
    benchmark:
        "benchmarks/{at}discriminate_genome.tsv"
    wildcard_constraints:
        at=folders_of("model"),
    priority: 1  # all sets wait for it
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(discriminating_needs),
        gpu_mem_mb=device_memory(discriminating_on_device),
        runtime=growing(480),
    params:
        dropout=lambda wildcards: settings(wildcards)["language_model"]["dropout"],
        args=setting("discriminate"),
        seed=config["seed"],
    script:
        "../scripts/discriminate_genome.py"
