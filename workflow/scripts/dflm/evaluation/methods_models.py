"""What a methods section says of the models: language model, classifier, baselines."""

from collections.abc import Mapping, Sequence

from dflm.evaluation.baselines.lsgkm_settings import SETTINGS as LSGKM
from dflm.evaluation.prose import count, listed, number, part
from dflm.resources import parameters

ABLATIONS = {
    "random": "an encoder of random weights",
    "pretrained": "the pretrained language model without fine-tuning",
    "lm_only": "a language model without the second pretraining",
    "no_detectors": "no motif detectors beside the encoder",
    "one_strand": "one strand only, in training and prediction",
}


def language_model(config: Mapping, facts: Mapping) -> str:
    """Describe the language model, from its tokens to its fine-tuning; see `methods_text`."""
    start = config["classifier"]["start"]
    if start == "random":
        return (
            f"{tokens(config)} The classifier's encoder, {shape(config)}, began with random "
            "weights, without a language model."
        )
    text = f"{tokens(config)} The language model was {shape(config)}. "
    given = config["language_model"]["pretrained"]
    if given is not None:
        card = facts["pretrained_card"]
        text += (
            f"Its weights were those of an existing model (DFLM {card['dflm_version']}, SHA-256 of "
            f"the weights {card['sha256']}). "
        )
    else:
        text += pretraining(config["pretrain"], facts)
        if facts.get("discriminate") is not None:
            text += discrimination(config["discriminate"], facts["discriminate"])
    if start == "pretrained":
        return text + "It was not fine-tuned on the sets."
    return text + fine_tuning(config["finetune"], facts)


def tokens(config: Mapping) -> str:
    """Describe the tokens."""
    k, stride = config["kmers"]["k"], config["kmers"]["stride"]
    if k == 1:
        return f"Sequences were read base by base{', ' + every(stride) if stride > 1 else ''}."
    kind = "overlapping " if stride < k else ""
    return f"Sequences were read as {kind}{k}-mers, {every(stride)}."


def every(stride: int) -> str:
    return "one at each base" if stride == 1 else f"one every {stride} bases"


def shape(config: Mapping) -> str:
    """Describe the encoder's architecture."""
    model = config["language_model"]
    hidden = f", {number(model['hidden'])} hidden units a layer" if model["layers"] > 1 else ""
    size = number(parameters({**model, **config["kmers"]}))
    return (
        f"an AWD-LSTM (Merity et al. 2018) of {count(model['layers'], 'layer')}{hidden} and an "
        f"embedding of width {number(model['embedding'])} ({size} parameters with its tied decoder)"
    )


def dropouts(section: Mapping) -> str:
    """List the dropout probabilities in use, each times the factor on all of them."""
    factor = section["drop_mult"]
    used = {name: p * factor for name, p in section["dropout"].items() if p * factor > 0}
    if not used:
        return "no dropout"
    words = listed([f"{p:.3g} ({name})" for name, p in used.items()])
    return f"dropout probabilities of {words}"


def limited(clip: float | None) -> str:
    return "gradients not clipped" if clip is None else f"gradients clipped to a norm of {clip:g}"


def pretraining(args: Mapping, facts: Mapping) -> str:
    """Describe the pretraining and what it reached."""
    reached, model = facts["pretrain"], facts["config"]["language_model"]
    varied = "a length that varied around" if args["variable_bptt"] else "windows of"
    if args["optimizer"] == "nt-asgd":
        optimizer = (
            f"stochastic gradient descent at a learning rate of {args['learning_rate']:g} that "
            "turned to averaging when the validation loss had not improved for "
            f"{count(args['nonmono'], 'validation')} (NT-ASGD, Merity et al. 2018)"
        )
        if not reached["averaged"]:
            optimizer += "; averaging did not set in"
    else:
        optimizer = (
            "AdamW (Loshchilov and Hutter 2019) with a one-cycle schedule (Smith 2018) and a "
            f"peak learning rate of {args['learning_rate']:g}"
        )
    return (
        f"It was pretrained without labels for {count(args['epochs'], 'pass', 'passes')} over the "
        f"training contigs ({number(reached['train_tokens'])} tokens) in "
        f"{count(args['batch_size'], 'parallel stream')}, with backpropagation through time over "
        f"{varied} {count(args['bptt'], 'token')}, by {optimizer}. Training was regularised by a "
        f"weight decay of {args['weight_decay']:g}, {limited(args['clip'])}, {dropouts(model)}, "
        f"activation regularisation ({model['ar_alpha']:g}) and temporal activation regularisation "
        f"({model['tar_beta']:g}). On {number(reached['tokens'])} tokens of the held-out contigs "
        "it reached "
        f"{reached['bits_per_base']:.4f} bits per base. "
    )


def discrimination(args: Mapping, reached: Mapping) -> str:
    """Describe the second pretraining and what it reached."""
    return (
        "In a second pretraining without labels of binding it learnt to tell "
        f"{number(reached['windows'])} windows of {args['width']} bases, drawn from the training "
        f"contigs, from dinucleotide "
        f"shuffles of them, and to predict the windows' tokens (weight {args['lm_weight']:g}), in "
        f"batches of {number(args['batch_size'])} pairs with AdamW, a one-cycle schedule and a "
        f"peak learning rate of {args['learning_rate']:g}. On windows of the held-out contigs it "
        f"told them apart with an AUROC of {reached['auroc']:.3f}, at "
        f"{reached['bits_per_base']:.4f} bits per base. "
    )


def fine_tuning(args: Mapping, facts: Mapping) -> str:
    """Describe the fine-tuning of the language model."""
    groups = {
        "dataset": "of each set by itself",
        "tf": "of all sets of a transcription factor together",
    }
    which = groups.get(
        args["group_by"], f"of all sets together that have the same {args['group_by']}"
    )
    turned = (
        "; a random half of the sequences was shown as reverse complements, anew in each epoch"
        if args["reverse_complement"]
        else ""
    )
    text = (
        f"It was then fine-tuned on the training positives {which}, for "
        f"{count(args['epochs'], 'epoch')} in batches of {number(args['batch_size'])} with AdamW, "
        f"a one-cycle schedule and a peak learning rate of {args['learning_rate']:g} (weight decay "
        f"{args['weight_decay']:g}, {limited(args['clip'])}){turned}."
    )
    if args["group_by"] != "dataset":
        text += (
            " Training positives that stood in the validation or test part of a set of the group, "
            "or were near duplicates of one there, were left out."
        )
    before, after = (
        [m[f"lm_bits_per_base_{when}"] for m in facts["metrics"]] for when in ("before", "after")
    )
    if before and None not in before + after:
        text += (
            f" Over the sets, it took the mean from {sum(before) / len(before):.4f} to "
            f"{sum(after) / len(after):.4f} bits per base of held-out peaks."
        )
    return text


def classifier(config: Mapping, used: Sequence[Mapping]) -> str:
    """Describe the classifier and how it was trained; see `others`."""
    args = config["classifier"]
    stages, groups = args["stages"], config["language_model"]["layers"] + 2
    number_of = [groups if s["unfreeze"] == "all" else s["unfreeze"] for s in stages]
    unfrozen = listed([f"{n}" for n in number_of])
    epochs = listed([f"{s['epochs']}" for s in stages])
    rates = listed([f"{s['learning_rate']:g}" for s in stages])
    if len(stages) == 1:
        course = (
            f"in one stage of {count(stages[0]['epochs'], 'epoch')}, in which the last {unfrozen} "
            f"of {groups} layer groups learnt, at a peak learning rate of {rates}"
        )
    else:
        course = (
            f"by gradual unfreezing (Howard and Ruder 2018) in {len(stages)} stages, in which the "
            f"last {unfrozen} of {groups} layer groups learnt for {epochs} epochs at peak learning "
            f"rates of {rates}"
        )
    turned = (
        " A random half of the sequences was shown as reverse complements, anew in each epoch."
        if args["reverse_complement"]
        else ""
    )
    fresh = (
        " Dinucleotide shuffles among the training negatives were drawn anew in each epoch."
        if args["fresh_negatives"] and any(one["negatives"] == "shuffle" for one in used)
        else ""
    )
    patience = (
        ""
        if args["patience"] is None
        else "; once all groups learnt, training ended after "
        f"{count(args['patience'], 'epoch')} without a better one"
    )
    head = args["head"]
    symmetric = (
        ", all pooled on both strands of the sequence and averaged,"
        if head.get("strand_symmetric")
        else ""
    )
    seen = (
        f" and the maximum and the mean of {count(head['detectors'], 'motif detector')}, a "
        f"convolution over {count(head['detector_width'], 'embedded token')} with batch "
        "normalisation,"
        if head["detectors"]
        else ""
    )
    return (
        "For each set the encoder was turned into a classifier of bound against unbound sequences: "
        f"its last hidden state, and the maximum and the mean over all positions,{seen}{symmetric} "
        f"went through a head with {count(args['head']['hidden'], 'hidden unit')} (dropout "
        f"{args['head']['dropout']:g}; in the encoder and on the pooled features, its output, "
        f"{dropouts(args)}). It was trained {course}, "
        f"with AdamW and one cycle a stage, a learning rate {args['lr_range']:g} times higher at "
        f"the head than at the embedding, batches of {number(args['batch_size'])}, weight decay "
        f"{args['weight_decay']:g} and {limited(args['clip'])}.{turned}{fresh} The weights of the "
        f"epoch with the highest AUROC on the validation part were kept{patience}."
    )


def prediction(config: Mapping) -> str:
    """Describe predictions, their calibration and the thresholds."""
    both = config["predict"]["both_strands"]
    how = (
        "the mean of the probabilities of the sequence and of its reverse complement"
        if both
        else "the probability of the sequence as given"
    )
    return (
        f"A sequence's score was {how}. A temperature (Guo et al. 2017) was fitted to the "
        "validation sequences of each set, and so were two thresholds: that of the highest "
        "Matthews correlation and that of the highest recall at a false discovery rate of at most "
        f"{part(config['classifier']['fdr'])}."
    )


def others(config: Mapping, used: Sequence[Mapping]) -> str:
    """Describe baselines, ablations, variants and seeds; empty where there are none.

    Parameters
    ----------
    config : mapping
        See `dflm.evaluation.methods_text.write_methods`.
    used : sequence of mapping
        Statistics of the sets in use, whose ``negatives`` may be shuffles.
    """
    texts, gkm, cnn = [], config["gkm"], config["cnn"]
    kinds = {one["negatives"] for one in used}
    which_sets = "" if kinds == {"shuffle"} else " where negatives were shuffles"
    each = config["chipseq"]["negatives_per_positive"]
    further = max(1, gkm["shuffles"] // each) * each
    drawn, of_split = (
        f"{count(shuffles, 'shuffle')} of each peak{which_sets}; " for shuffles in (further, each)
    )
    fresh = f", shuffles drawn anew in each{which_sets}"
    if "shuffle" not in kinds:
        drawn = of_split = fresh = ""
    described = {
        "floor": "a logistic regression on the counts of the 16 dinucleotides",
        "gkm": (
            "a linear support vector machine on gapped k-mers (Ghandi et al. 2014; windows of "
            f"{gkm['word']} bases of which {gkm['informative']} were read; {drawn}C of "
            f"{listed([f'{c:g}' for c in gkm['costs']], 'or')}, chosen on the validation part)"
        ),
        "lsgkm": (
            f"LS-GKM (Lee 2016; windows of {LSGKM['word']} bases of which {LSGKM['informative']} "
            f"were read, at most {LSGKM['mismatches']} mismatches, weighted towards the middle; "
            f"{of_split}C of {LSGKM['cost']:g})"
        ),
        "cnn": (
            "a convolutional network on one-hot encoded sequences, of the kind of DeepBind "
            f"(Alipanahi et al. 2015; {cnn['filters']} detectors of "
            f"each of the widths {listed([str(w) for w in cnn['widths']])}, both strands read at "
            f"once, up to {count(cnn['epochs'], 'epoch')}"
            f"{fresh if cnn['fresh_negatives'] else ''})"
        ),
    }
    if config["baselines"]:
        which = listed([described[name] for name in config["baselines"]])
        texts.append(f"On the same peaks, splits and test sequences stood {which}.")
    changed = [
        ABLATIONS.get(
            name, f"tokens of {count(int(name[1:]), 'base')}" if name[1:].isdigit() else ""
        )
        for name in config["ablations"]
    ]
    if changed:
        texts.append(f"DFLM was also run with {listed(changed)}.")
    if config["variants"]:
        names: Sequence[str] = [f"`{name}`" for name in config["variants"]]
        texts.append(f"Further variants of the configuration, {listed(names)}, are given with it.")
    if config["seeds"] > 1:
        last = config["seed"] + config["seeds"] - 1
        also = " and of the convolutional network" if "cnn" in config["baselines"] else ""
        texts.append(
            f"The trainings of DFLM on the sets{also} were done with each of the seeds "
            f"{config['seed']} to {last}, on the same splits."
        )
    if config["ensemble"]:
        members = listed([f"`{name}`" for name in config["ensemble"]])
        seeds = ", over all seeds" if config["seeds"] > 1 else ""
        texts.append(f"An ensemble is the mean of the probabilities of {members}{seeds}.")
    if any(config[key] for key in ("baselines", "ablations", "variants", "ensemble")):
        texts.append(
            "Methods were compared by paired Wilcoxon tests over the sets, corrected for several "
            "comparisons (Holm 1979); intervals of means and differences are bootstrap intervals "
            f"({number(config['comparison']['resamples'])} resamples of sets)."
        )
        if config["seeds"] > 1:
            texts.append("A method's seeds were averaged within each set first.")
    return " ".join(texts)
