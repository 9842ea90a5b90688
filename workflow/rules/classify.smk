"""A classifier for each set: trained, applied to the official test file; each method judged."""


rule train_classifier:
    input:
        unpack(encoder_of),
        lib=library("train_classifier.py"),
        train="results/chipseq/{dataset}/train.tsv.gz",
        validation="results/chipseq/{dataset}/validation.tsv.gz",
        stats="results/chipseq/{dataset}/stats.json",
    output:
        weights="results/{at}classify/{dataset}/model.safetensors",
        card="results/{at}classify/{dataset}/model.json",
        history="results/{at}classify/{dataset}/metrics.jsonl",
        predictions="results/{at}classify/{dataset}/validation_predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/train_classifier.json",
    log:
        "logs/{at}train_classifier/{dataset}.log",
    benchmark:
        "benchmarks/{at}train_classifier/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("model"),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(classifying_needs),
        gpu_mem_mb=device_memory(classifying_on_device),
        runtime=growing(240),
    params:
        args=without("classifier", "start"),
        architecture=random_architecture,
        seed=training_seed,
        dataset="{dataset}",
    script:
        "../scripts/train_classifier.py"


rule predict:
    input:
        unpack(classifier_of),
        lib=library("predict_sequences.py"),
        test="results/chipseq/{dataset}/test.tsv.gz",
    output:
        predictions="results/{at}classify/{dataset}/predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/predict.json",
    log:
        "logs/{at}predict/{dataset}.log",
    benchmark:
        "benchmarks/{at}predict/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("model"),
    conda:
        "../envs/torch.yaml"
    threads: 4
    resources:
        gpu=1,
        gpu_share=100,
        mem_mb=memory(predicting_needs),
        gpu_mem_mb=device_memory(predicting_on_device),
        runtime=growing(30),
    params:
        args=setting("predict"),
    script:
        "../scripts/predict_sequences.py"


rule run_ensemble:
    input:
        unpack(ensemble_inputs),
        lib=library("average_predictions.py"),
        stats="results/chipseq/{dataset}/stats.json",
    output:
        card="results/{at}classify/{dataset}/model.json",
        predictions="results/{at}classify/{dataset}/predictions.tsv",
        seconds="results/{at}classify/{dataset}/seconds/run_ensemble.json",
    log:
        "logs/{at}run_ensemble/{dataset}.log",
    benchmark:
        "benchmarks/{at}run_ensemble/{dataset}.tsv"
    wildcard_constraints:
        at=folders_of("ensemble"),
    conda:
        "../envs/genomics.yaml"
    threads: 1
    resources:
        mem_mb=memory(averaging_needs),
        runtime=growing(10),
    params:
        fdr=config["classifier"]["fdr"],
        both_strands=config["predict"]["both_strands"],
    script:
        "../scripts/average_predictions.py"


rule evaluate:
    input:
        unpack(evaluation_inputs),
        lib=library("evaluate_predictions.py"),
    output:
        metrics="results/{at}classify/{dataset}/metrics.json",
        roc=report(
            "results/{at}classify/{dataset}/roc.svg",
            category="Classifiers",
            caption="../report/roc.rst",
            labels=labels_of("ROC curve"),
        ),
        pr=report(
            "results/{at}classify/{dataset}/pr.svg",
            category="Classifiers",
            caption="../report/pr.rst",
            labels=labels_of("precision-recall curve"),
        ),
        reliability=report(
            "results/{at}classify/{dataset}/reliability.svg",
            category="Classifiers",
            caption="../report/reliability.rst",
            labels=labels_of("reliability diagram"),
        ),
        scores=report(
            "results/{at}classify/{dataset}/scores.svg",
            category="Classifiers",
            caption="../report/scores.rst",
            labels=labels_of("score histogram"),
        ),
    log:
        "logs/{at}evaluate/{dataset}.log",
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=memory(evaluating_needs),
        runtime=growing(20),
    params:
        args=evaluation_args,
        dataset="{dataset}",
        method=lambda wildcards: method_of(wildcards).name,
        seed=training_seed,
    script:
        "../scripts/evaluate_predictions.py"


rule write_set_page:
    input:
        lib=library("write_set_page.py"),
        metrics="results/classify/{dataset}/metrics.json",
        card="results/classify/{dataset}/model.json",
        stats="results/chipseq/{dataset}/stats.json",
        leaks="results/chipseq/{dataset}/leaks.json",
        roc="results/classify/{dataset}/roc.svg",
        pr="results/classify/{dataset}/pr.svg",
        reliability="results/classify/{dataset}/reliability.svg",
        scores="results/classify/{dataset}/scores.svg",
        learning_curve="results/classify/{dataset}/learning_curve.svg",
    output:
        page=report(
            "results/classify/{dataset}/report.html",
            category="Sets",
            caption="../report/set.rst",
            labels={"set": "{dataset}"},
        ),
    log:
        "logs/write_set_page/{dataset}.log",
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        both_strands=config["predict"]["both_strands"],
        row=lambda wildcards: {
            key: row_of(wildcards.dataset).get(key) for key in ("tf", "cell_line")
        },
        read_corpus=lambda wildcards: reads_corpus(METHODS[0]),
        was_shown=lambda wildcards: bool(shown_to(METHODS[0])),
    script:
        "../scripts/write_set_page.py"


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
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        title="{run}",
    script:
        "../scripts/plot_learning_curve.py"
