"""A classifier for each set: trained, applied to the official test file, judged."""


rule train_classifier:
    input:
        unpack(finetuned_model),
        lib=library("train_classifier.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
    output:
        weights="results/classify/{dataset}/model.safetensors",
        card="results/classify/{dataset}/model.json",
        history="results/classify/{dataset}/metrics.jsonl",
        seconds="results/classify/{dataset}/seconds/train_classifier.json",
    log:
        "logs/train_classifier/{dataset}.log",
    benchmark:
        "benchmarks/train_classifier/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(classifying_needs),
        gpu_mem_mb=device_memory(classifying_on_device),
        runtime=240,
    params:
        args=config["classifier"],
        seed=config["seed"],
        dataset="{dataset}",
        checkpoint=checkpoint_beside,
    script:
        "../scripts/train_classifier.py"


rule predict:
    input:
        lib=library("predict_sequences.py"),
        weights="results/classify/{dataset}/model.safetensors",
        card="results/classify/{dataset}/model.json",
        test="results/chipseq/{dataset}/test.tsv.gz",
    output:
        predictions="results/classify/{dataset}/predictions.tsv",
        seconds="results/classify/{dataset}/seconds/predict.json",
    log:
        "logs/predict/{dataset}.log",
    benchmark:
        "benchmarks/predict/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(predicting_needs),
        gpu_mem_mb=device_memory(predicting_on_device),
        runtime=30,
    params:
        args=config["predict"],
    script:
        "../scripts/predict_sequences.py"


rule evaluate:
    input:
        unpack(evaluation_inputs),
        lib=library("evaluate_predictions.py"),
    output:
        metrics="results/classify/{dataset}/metrics.json",
        roc=report(
            "results/classify/{dataset}/roc.svg",
            category="Classifiers",
            caption="../report/roc.rst",
            labels={"set": "{dataset}", "plot": "ROC curve"},
        ),
        pr=report(
            "results/classify/{dataset}/pr.svg",
            category="Classifiers",
            caption="../report/pr.rst",
            labels={"set": "{dataset}", "plot": "precision-recall curve"},
        ),
    log:
        "logs/evaluate/{dataset}.log",
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=memory(evaluating_needs),
        runtime=20,
    params:
        args=dict(floor_tolerance=config["evaluate"]["floor_tolerance"]),
        dataset="{dataset}",
        seed=config["seed"],
    script:
        "../scripts/evaluate_predictions.py"


rule plot_learning_curve:
    input:
        lib=library("plot_learning_curve.py"),
        history="results/{run}/metrics.jsonl",
    output:
        plot=report(
            "results/{run}/learning_curve.svg",
            category="Learning curves",
            caption="../report/learning_curve.rst",
            labels={"run": "{run}"},
        ),
    log:
        "logs/plot_learning_curve/{run}.log",
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        title="{run}",
    script:
        "../scripts/plot_learning_curve.py"
