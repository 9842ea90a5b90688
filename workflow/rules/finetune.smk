"""The language model, fine-tuned on the training positives of a set or a group of sets."""


rule finetune_lm:
    input:
        unpack(language_model),
        lib=library("finetune_lm.py"),
        train=group_splits("train"),
        validation=group_splits("validation"),
        test=group_splits("test"),
        stats=group_stats,
    output:
        weights="results/{at}finetune/{group}/model.safetensors",
        card="results/{at}finetune/{group}/model.json",
        metrics="results/{at}finetune/{group}/metrics.json",
        history="results/{at}finetune/{group}/metrics.jsonl",
    log:
        "logs/{at}finetune_lm/{group}.log",
    benchmark:
        "benchmarks/{at}finetune_lm/{group}.tsv"
    wildcard_constraints:
        at=folders_of("model"),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(finetuning_needs),
        gpu_mem_mb=device_memory(finetuning_on_device),
        runtime=growing(240),
    params:
        architecture=architecture,
        args=without("finetune", "group_by"),
        seed=training_seed,
        group="{group}",
        members=group_members,
        width=width_between_members,
    script:
        "../scripts/finetune_lm.py"
