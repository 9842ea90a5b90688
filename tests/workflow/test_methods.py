"""What Snakemake plans for several methods: a folder each, and nothing trained twice."""

import yaml
from runs import NAMES, ROOT, rule_functions

SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())


def test_methods_fan_out_and_share_all_that_is_the_same_for_them(snakemake):
    jobs, output = snakemake.plan(
        "--config",
        "baselines=[floor, gkm, lsgkm, cnn]",
        "ablations=[random, pretrained, lm_only, one_strand, k4]",
        "variants={wide: {classifier: {head: {hidden: 100}}}, long: {finetune: {epochs: 20}}, "
        "both: {finetune: {epochs: 20}, predict: {both_strands: false}}}",
        "seeds=2",
    )
    sets, models = len(NAMES), {"full", "random", "pretrained", "lm_only", "one_strand", "k4"}
    models |= {"wide", "long"}
    assert jobs["get_chipseq"] == jobs["split_chipseq"] == jobs["check_leaks"] == sets
    assert jobs["pretrain_lm"] == 2  # k = 3 and k = 4, whatever the seed
    assert jobs["discriminate_genome"] == 2
    assert jobs["finetune_lm"] == sets * 2 * len({"full", "lm_only", "one_strand", "k4", "long"})
    # `both` differs from `long` in the prediction alone.
    assert jobs["train_classifier"] == sets * 2 * len(models)
    assert jobs["predict"] == sets * 2 * (len(models) + 1)
    assert jobs["run_floor"] == jobs["run_gkm"] == jobs["run_lsgkm"] == sets
    assert jobs["run_cnn"] == sets * 2
    assert jobs["evaluate"] == sets * (2 * (len(models) + 1) + 2 + 3)
    assert jobs["summarise"] == jobs["compare_methods"] == 1
    assert jobs["plot_learning_curve"] == 2 + 2 * sets
    for path in (
        "results/methods/k4/pretrain/model.safetensors",
        f"results/methods/full-seed2/classify/{NAMES[0]}/model.safetensors",
        f"results/methods/cnn-seed2/classify/{NAMES[0]}/predictions.tsv",
        f"logs/methods/random/train_classifier/{NAMES[0]}.log",
    ):
        assert path in output


def test_an_ensemble_takes_the_predictions_of_all_seeds_and_trains_nothing(snakemake):
    chosen = ("--config", "ensemble=[full]", "seeds=3")
    jobs, output = snakemake.plan(*chosen)
    sets = len(NAMES)
    assert jobs["train_classifier"] == jobs["predict"] == 3 * sets
    assert jobs["run_ensemble"] == sets
    assert jobs["evaluate"] == 4 * sets
    jobs, output = snakemake.plan(
        *chosen, "--", f"results/methods/ensemble/classify/{NAMES[0]}/predictions.tsv"
    )
    assert (jobs["predict"], jobs["run_ensemble"]) == (3, 1)
    output = snakemake("-n", "--config", "ensemble=[full]", fails=True)
    assert "and seeds 1; it averages several trainings" in output
    output = snakemake("-n", "--config", "ensemble=[full, cnn]", "baselines=[cnn]", fails=True)
    assert "ensemble: cnn is no method of DFLM in this run (there are: full)" in output


def rules_of(**chosen):
    """Return the namespace of the input functions of a run with these settings."""
    rules = dict(rule_functions("inputs.smk"))
    config = {}
    assert not rules["check_schema"](config, SCHEMA)
    config |= chosen
    config["classifier"] = config["classifier"] | chosen.get("classifier", {})
    # Functions look their globals up in the namespace that they were made in.
    made_in = rules["reads_corpus"].__globals__
    made_in |= {"config": config, "METHODS": rules["methods_of"](config, SCHEMA)}
    return made_in


def what_was_read(**chosen):
    """Return, by method, whether it read the genome and whether it had a second pretraining."""
    rules = rules_of(**chosen)
    return {
        method.name: (rules["reads_corpus"](method), bool(rules["shown_to"](method)))
        for method in rules["METHODS"]
    }


def test_an_ensemble_has_read_what_its_members_have():
    found = what_was_read(ablations=["random", "lm_only"], ensemble=["full", "random"], seeds=2)
    assert found == {
        "full": (True, True),
        "random": (False, False),
        "lm_only": (True, False),
        "ensemble": (True, True),
    }
    for ablation, told in (("random", (False, False)), ("lm_only", (True, False))):
        alone = what_was_read(ablations=[ablation], ensemble=[ablation], seeds=2)
        assert alone["ensemble"] == told
    # Nor does it matter which method is the configuration itself.
    start = {"variants": {"read": {"classifier": {"start": "pretrained"}}}, "ensemble": ["read"]}
    found = what_was_read(classifier={"start": "random"}, seeds=2, **start)
    assert found == {"full": (False, False), "read": (True, True), "ensemble": (True, True)}


def test_the_leak_check_knows_the_windows_of_each_pretraining():
    chosen = {"ablations": ["k4", "lm_only"], "variants": {"wide": {"discriminate": {"width": 99}}}}
    both = (True, True)
    assert what_was_read(**chosen) == {
        "full": both, "k4": both, "lm_only": (True, False), "wide": both
    }  # fmt: skip
    windows = rules_of(**chosen)["windows_shown"]()
    assert [one["width"] for one in windows] == [101, 99]


def test_an_ensemble_averages_methods_of_other_tokens(snakemake):
    chosen = ("--config", "ensemble=[full, k4]", "ablations=[k4, random]")
    _, output = snakemake.plan(
        *chosen, "--", f"results/methods/ensemble/classify/{NAMES[0]}/predictions.tsv"
    )
    assert output.count("rule run_ensemble:") == 1
    for member in ("", "methods/k4/"):
        for name in ("model.json", "validation_predictions.tsv", "predictions.tsv"):
            assert f"results/{member}classify/{NAMES[0]}/{name}" in output
    assert "methods/random" not in output


def test_a_method_that_starts_at_random_needs_no_language_model(snakemake):
    jobs, _ = snakemake.plan(
        *("--config", "ablations=[random]", "baselines=[cnn]", "--"),
        f"results/methods/random/classify/{NAMES[0]}/metrics.json",
        f"results/methods/cnn/classify/{NAMES[0]}/metrics.json",
    )
    assert jobs == {
        "get_chipseq": 1,
        "split_chipseq": 1,
        "get_genome": 1,
        "shard_genome": 1,
        "check_leaks": 1,
        "train_classifier": 1,
        "predict": 1,
        "run_cnn": 1,
        "evaluate": 2,
    }
    # Nor does the configuration itself, where it does.
    jobs, _ = snakemake.plan("--config", "classifier={start: random}")
    assert not {"get_genome", "pretrain_lm", "finetune_lm"} & set(jobs)
    assert jobs["plot_learning_curve"] == jobs["evaluate"] == len(NAMES)


def test_groups_are_a_method_s_own(snakemake):
    grouped = "variants={grouped: {finetune: {group_by: family}}}"
    jobs, output = snakemake.plan("--config", grouped)
    assert jobs["finetune_lm"] == len(NAMES) + 2
    assert "results/methods/grouped/finetune/TF0/model.safetensors" in output
    assert jobs["pretrain_lm"] == 1


def test_a_method_that_the_configuration_does_not_name_is_told(snakemake):
    target = f"results/methods/radnom/classify/{NAMES[0]}/metrics.json"
    output = snakemake("-n", "--config", "ablations=[random]", "--", target, fails=True)
    assert "radnom is no method of this run, did you mean random?" in output


def test_a_change_of_one_variant_reruns_that_one_alone(finished):
    sets = len(NAMES)
    rows = {"train_classifier": sets, "predict": sets, "evaluate": sets}
    rows |= {"compare_methods": 1, "write_methods": 1, "write_provenance": 1, "all": 1}
    wider = "variants={wide: {classifier: {head: {hidden: 99}}}}"
    jobs, output = finished.plan("--config", wider)
    assert jobs == rows
    assert f"results/classify/{NAMES[0]}/model.safetensors" not in output.split("Job stats")[0]
    # One more brings its own jobs and no others; a baseline's settings concern it alone.
    jobs, _ = finished.plan("--config", "gkm={costs: [1]}")
    told = {"compare_methods": 1, "write_methods": 1, "write_provenance": 1, "all": 1}
    assert jobs == {"run_gkm": sets, "evaluate": sets, **told}
    jobs, _ = finished.plan("--config", "comparison={tie: 0.01}")
    assert jobs == told
    # How often a training is kept on the way is nothing of its result.
    jobs, _ = finished.plan("--config", "pretrain={checkpoint_minutes: 5}")
    assert jobs == {"write_methods": 1, "write_provenance": 1, "all": 1}
