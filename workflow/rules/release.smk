"""A trained model as one folder that needs nothing beside it, and a whole run as one file."""


rule pack_model:
    input:
        unpack(motifs_to_pack),
        lib=library("pack_model.py"),
        weights="results/classify/{dataset}/model.safetensors",
        card="results/classify/{dataset}/model.json",
        metrics="results/classify/{dataset}/metrics.json",
        licence=licence(),
    output:
        folder=directory("results/models/{dataset}"),
    log:
        "logs/pack_model/{dataset}.log",
    localrule: True
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    script:
        "../scripts/pack_model.py"


rule pack_release:
    input:
        unpack(release_inputs),
        lib=library("pack_release.py"),
        licence=licence(),
    output:
        archive="results/release.zip",
    log:
        "logs/pack_release.log",
    localrule: True
    conda:
        "../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(60),
    params:
        config=config,
    script:
        "../scripts/pack_release.py"
