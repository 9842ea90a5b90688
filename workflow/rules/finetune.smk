"""The language model, fine-tuned on the training positives of a set or a group of sets."""


rule finetune_lm:
    input:
        unpack(language_model),
        lib=library("finetune_lm.py"),
        train=group_splits("train"),
        validation=group_splits("validation"),
        test=group_splits("test"),
    output:
        weights="results/finetune/{group}/model.safetensors",
        card="results/finetune/{group}/model.json",
        metrics="results/finetune/{group}/metrics.json",
        history="results/finetune/{group}/metrics.jsonl",
    log:
        "logs/finetune_lm/{group}.log",
    benchmark:
        "benchmarks/finetune_lm/{group}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(finetuning_needs),
        gpu_mem_mb=device_memory(finetuning_on_device),
        runtime=240,
    params:
        architecture=architecture(),
        args={key: value for key, value in config["finetune"].items() if key != "group_by"},
        seed=config["seed"],
        group="{group}",
        members=group_members,
        checkpoint=checkpoint_beside,
    script:
        "../scripts/finetune_lm.py"
