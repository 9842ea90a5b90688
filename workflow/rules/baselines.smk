"""Other methods on the same splits: each trained on a set and applied to its test file in one job."""


rule run_floor:
    input:
        lib=library("run_floor.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
    output:
        predictions="results/{at}classify/{dataset}/predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/run_floor.json",
    log:
        "logs/{at}run_floor/{dataset}.log",
    benchmark:
        "benchmarks/{at}run_floor/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("floor"),
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(evaluating_needs),
        runtime=growing(20),
    script:
        "../scripts/run_floor.py"


rule run_gkm:
    input:
        lib=library("run_gkm.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
        stats="results/chipseq/{dataset}/stats.json",
    output:
        model="results/{at}classify/{dataset}/model.npz",
        card="results/{at}classify/{dataset}/model.json",
        predictions="results/{at}classify/{dataset}/predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/run_gkm.json",
    log:
        "logs/{at}run_gkm/{dataset}.log",
    benchmark:
        "benchmarks/{at}run_gkm/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("gkm"),
    conda:
        "../envs/gkm.yaml"
    threads: 1
    resources:
        mem_mb=memory(gapping_needs),
        runtime=growing(240),
    params:
        args=setting("gkm"),
        seed=training_seed,
    script:
        "../scripts/run_gkm.py"


rule run_lsgkm:
    input:
        lib=library("run_lsgkm.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
    output:
        model="results/{at}classify/{dataset}/model.txt",
        card="results/{at}classify/{dataset}/model.json",
        predictions="results/{at}classify/{dataset}/predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/run_lsgkm.json",
    log:
        "logs/{at}run_lsgkm/{dataset}.log",
    benchmark:
        "benchmarks/{at}run_lsgkm/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("lsgkm"),
    conda:
        "../envs/lsgkm.yaml"
    threads: 4
    resources:
        mem_mb=memory(ls_gkm_needs),
        runtime=growing(480),
    script:
        "../scripts/run_lsgkm.py"


rule run_cnn:
    input:
        lib=library("run_cnn.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        test="results/chipseq/{dataset}/test.tsv.gz",
        stats="results/chipseq/{dataset}/stats.json",
    output:
        weights="results/{at}classify/{dataset}/model.safetensors",
        card="results/{at}classify/{dataset}/model.json",
        history="results/{at}classify/{dataset}/metrics.jsonl",
        predictions="results/{at}classify/{dataset}/predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/run_cnn.json",
    log:
        "logs/{at}run_cnn/{dataset}.log",
    benchmark:
        "benchmarks/{at}run_cnn/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("cnn"),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(convolving_needs),
        gpu_mem_mb=device_memory(convolving_on_device),
        runtime=growing(240),
    params:
        args=setting("cnn"),
        seed=training_seed,
    script:
        "../scripts/run_cnn.py"
