"""All of one set on a page: scores, curves, thresholds, leaks, where its model comes from."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from dflm.calibration import calibration_in
from dflm.evaluation.prose import count
from dflm.files import atomic_path, read_json
from dflm.pages import STYLE, html_page

PICTURES = (
    ("roc", "How many negatives are called for the positives found"),
    ("pr", "How many of those called are positives"),
    ("reliability", "What a probability says against what occurs, on the test file"),
    ("scores", "Probabilities of the test sequences, and the thresholds"),
    ("learning_curve", "Training of the classifier; the best epoch's weights are kept"),
)
THRESHOLDS = {"max_mcc": "best MCC", "fdr": "FDR at most", "half": "probability 0.5"}
KINDS = ("exact", "near")
WORDS = {
    "shuffle": "dinucleotide shuffles of the positives",
    "genomic": "genomic windows of the positives' GC content, away from all peaks",
    "bed": "windows of a BED file that was given",
}
DROPPED = {
    "ambiguous": "with N",
    "length": "of another length",
    "letters": "with other letters",
    "beyond_max_peaks": "beyond chipseq.max_peaks",
    "unknown_contig": "on contigs that are not used",
    "beyond_contig_end": "that end behind their contig",
    "window_off_end": "with a window over a contig's end",
    "merged": "merged with a peak that they overlap",
    "overlap": "that overlap a stronger peak's window",
}
MORE = """
body { max-width: 1180px; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
p, .note { max-width: 62rem; }
.pictures { display: grid; grid-template-columns: repeat(6, 1fr); gap: 1rem; }
figure { grid-column: span 2; margin: 0; padding: .7rem;
  border: 1px solid var(--line); border-radius: .5rem; }
figure.wide { grid-column: span 3; }
figure img { display: block; width: 100%; max-height: 430px; object-fit: contain; }
figcaption { color: var(--soft); font-size: .85rem; padding-top: .4rem; }
th { cursor: default; }
td:first-child { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; font-size: .88rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: .82rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { background: var(--band); border-radius: .5rem; padding: .8rem; overflow-x: auto; }
summary { cursor: pointer; color: var(--blue); }
@media (max-width: 900px) { figure, figure.wide { grid-column: span 6; } }
"""


def write_set_page(
    metrics: str | Path,
    card: str | Path,
    stats: str | Path,
    leaks: str | Path,
    pictures: Mapping[str, str | Path],
    path: str | Path,
    *,
    both_strands: bool,
    row: Mapping,
    read_corpus: bool,
    was_shown: bool,
) -> None:
    """Write the page of one set.

    Parameters
    ----------
    metrics : path-like
        What `dflm.evaluation.metrics.evaluate` wrote.
    card : path-like
        The classifier's model.json.
    stats, leaks : path-like
        What the split and `dflm.sequences.leak_report.check_leaks` wrote.
    pictures : mapping of str to path-like
        SVG files by the names of `PICTURES`.
    path : path-like
        HTML to write, without any other file that it would need.
    both_strands : bool
        Whether the predictions are averages over both strands.
    row : mapping
        What the sheet says of the set, of which ``tf`` and ``cell_line`` are shown.
    read_corpus, was_shown : bool
        Whether the method has read the genome, and was shown the windows, in `leaks`: another
        method of the run may be the only one.
    """
    drawn = {name: Path(file).read_bytes() for name, file in pictures.items()}
    told = dict(
        zip(("metrics", "card", "stats", "leaks"), (metrics, card, stats, leaks), strict=True)
    )
    told = {name: read_json(file) for name, file in told.items()}
    told["stats"] |= {key: row[key] for key in ("tf", "cell_line") if row.get(key)}
    told["leaks"] |= {} if read_corpus else {"corpus": None}
    told["leaks"] |= {} if was_shown else {"shown": None}
    page = set_page(**told, pictures=drawn, both_strands=both_strands)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def set_page(
    metrics: Mapping,
    card: Mapping,
    stats: Mapping,
    leaks: Mapping,
    pictures: Mapping[str, bytes],
    both_strands: bool,
) -> str:
    """Build the page; the parameters are those of `write_set_page`, read.

    Returns
    -------
    str
        HTML 5.
    """
    name = escape(metrics["dataset"])
    validated = calibration_in(card, both_strands, "model.json")
    return html_page(
        name,
        f"""<h1>{name}</h1>
<p>{escape(_where(stats))}</p>
<div class="figures">{_figures(metrics)}</div>
<p>{escape(_verdict(metrics))}</p>
<div class="pictures">{_pictures(pictures)}</div>
<h2>Thresholds</h2>
<p class="note">{escape(_about_thresholds(metrics, validated["prevalence"]))}</p>
{_thresholds(metrics, validated["thresholds"])}
<h2>Calibration</h2>
{_calibration(metrics)}
<h2>Sequences</h2>
{_sequences(stats)}
<p class="note">{escape(_dropped(stats))}</p>
<h2>What the test file shares with the rest</h2>
{_leaks(leaks)}
<h2>Where the model comes from</h2>
{_provenance(metrics, card, stats)}""",
        STYLE + MORE,
    )


def _where(stats: Mapping) -> str:
    where = " in ".join(filter(None, (stats.get("tf"), stats.get("cell_line"))))
    width = stats.get("width")
    kind = WORDS.get(stats.get("negatives", "shuffle"))
    return f"{where}; sequences of {width} bases; negatives are {kind}."


def _number(value, decimals: int = 3) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def _figures(metrics: Mapping) -> str:
    shown = (
        ("auroc", "AUROC on the test file"),
        ("auprc", "average precision"),
        ("mcc", "Matthews correlation at 0.5"),
        ("floor_auroc", "AUROC of dinucleotide counts"),
        ("ece", "calibration error"),
    )
    return "".join(
        f'<div class="figure"><b>{_number(metrics.get(key))}</b><span>{words}</span></div>'
        for key, words in shown
    )


def _verdict(metrics: Mapping) -> str:
    """Say in words what the numbers come to."""
    area, floor = metrics["auroc"], metrics["floor_auroc"]
    recall, precision = 100 * metrics["recall"], 100 * metrics["precision"]
    text = (
        "Of a positive and a negative of the test file, drawn at random, the classifier gives the "
        f"positive the higher score in {100 * area:.1f} % of cases; chance is 50 %, and the counts "
        f"of the 16 dinucleotides reach {100 * floor:.1f} %. At probability 0.5 it "
    )
    if recall or precision:
        text += (
            f"finds {recall:.1f} % of the {metrics['test_positives']:,} positives, and "
            f"{precision:.1f} % of those it calls are positives."
        )
    else:
        text += f"finds none of the {metrics['test_positives']:,} positives."
    before = metrics.get("lm_bits_per_base_before")
    after = metrics.get("lm_bits_per_base_after")
    if before is not None and after is not None:
        text += (
            f" Fine-tuning took the language model from {before:.3f} to {after:.3f} bits per base "
            "of held-out peaks; 2 is guessing."
        )
    return text


def _pictures(pictures: Mapping[str, bytes]) -> str:
    parts = []
    for name, words in PICTURES:
        if name in pictures:
            wide = ' class="wide"' if name in ("scores", "learning_curve") else ""
            # An image, so that what one drawing calls its parts does not meet another's.
            data = base64.b64encode(pictures[name]).decode()
            parts.append(
                f'<figure{wide}><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}">'
                f"<figcaption>{escape(words)}</figcaption></figure>"
            )
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Build a table whose first column is words and whose others are numbers."""
    cells = "".join(f"<th{' class=n' if i else ''}>{escape(w)}</th>" for i, w in enumerate(head))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{' class=n' if i else ''}>{escape(w)}</td>" for i, w in enumerate(row))
        + "</tr>"
        for row in rows
    )
    inner = f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="frame"><table>{inner}</table></div>'


def _about_thresholds(metrics: Mapping, validated: float) -> str:
    tested = metrics["test_positives"] / (metrics["test_positives"] + metrics["test_negatives"])
    both = [f"{100 * share:.0f} %" for share in (validated, tested)]
    held = f"{both[1]} in both parts"
    if both[0] != both[1]:
        held = (
            f"{both[0]} in the validation part, where the FDR is kept, {both[1]} in the test file"
        )
    return (
        "Chosen on validation sequences and stored in model.json; a sequence is called at or above "
        "one. The test columns show what they are worth on sequences that had no part in the "
        "choice. Precision, and with it the false discovery rate (FDR), holds for the share of "
        f"positives there: {held}."
    )


def _thresholds(metrics: Mapping, validated: Mapping) -> str:
    tested = metrics["calibration"]["thresholds"]
    head = ["chosen by", "threshold", "calibrated"]
    keys = (("precision", "precision"), ("recall", "recall"), ("mcc", "MCC"))
    head += [f"{words}, {part}" for part in ("validation", "test") for _, words in keys]
    head.append("called, test")
    rows = []
    for name, words in THRESHOLDS.items():
        if name in tested:
            point = tested[name]
            label = f"{words} {point['limit']:g}" if name == "fdr" else words
            row = [label, _number(point["threshold"]), _number(point["calibrated"])]
            for found in (validated[name], point):
                row += [_number(found.get(key)) for key, _ in keys]
            rows.append([*row, f"{point['called']:,}"])
    return _table(head, rows)


def _calibration(metrics: Mapping) -> str:
    found = metrics["calibration"]
    rows = []
    for when, words in (("before", "as predicted"), ("after", "calibrated")):
        if found[when]:
            rows.append([words, *(_number(found[when][key], 4) for key in ("ece", "nll", "brier"))])
    text = ""
    if found["temperature"] is not None:
        text = (
            '<p class="note">Log-odds were divided by a temperature of '
            f"{found['temperature']:.3f}, fitted on validation sequences; above 1 it makes the "
            "classifier less sure. The order of the sequences, and with it AUROC and average "
            "precision, stay as they are.</p>"
        )
    head = ["on the test file", "expected calibration error", "negative log-likelihood (nats)"]
    return text + _table([*head, "Brier score"], rows)


def _sequences(stats: Mapping) -> str:
    rows = [
        [part, f"{stats[f'{part}_positives']:,}", f"{stats[f'{part}_negatives']:,}"]
        for part in ("train", "validation", "test")
    ]
    return _table(["part", "positives", "negatives"], rows)


def _dropped(stats: Mapping) -> str:
    parts = [
        f"{number:,} {DROPPED.get(kind, kind.replace('_', ' '))}"
        for kind, number in stats.get("dropped", {}).items()
        if number
    ]
    near = stats.get("near_test") or {}
    parts += [
        f"{number:,} {what}"
        for number, what in (
            (stats.get("shared_with_test", 0), "that stand in the test file"),
            (near.get("positives", 0), "near duplicates of test sequences"),
            (near.get("negatives", 0), "negatives made of, or near, those"),
        )
        if number
    ]
    negatives = _background(stats.get("background") or {})
    if parts:
        return f"Left out: {'; '.join(parts)}.{negatives}"
    return f"No {'positive' if negatives else 'sequence'} was left out.{negatives}"


def _background(found: Mapping) -> str:
    """Say what became of negatives that are no shuffles."""
    text = "".join(
        f" Of {side['wanted']:,} genomic negatives wanted for {words} {side['found']:,} were found."
        for side, words in (
            (found.get("train"), "training and validation"),
            (found.get("test"), "the test"),
        )
        if side and side["found"] < side["wanted"]
    )
    parts = [
        f"{number:,} {(DROPPED | {'on_a_peak': 'on a peak'}).get(kind, kind.replace('_', ' '))}"
        for kind, number in found.get("dropped", {}).items()
        if number
    ]
    if found.get("repeats_left_out"):
        parts.append(f"{found['repeats_left_out']:,} that stand there as another sequence")
    return text + (f" Negatives left out: {'; '.join(parts)}." if parts else "")


def _leaks(leaks: Mapping) -> str:
    width = leaks["width"]
    both = [("training or validation part, with labels", leaks["test"])]
    if leaks["corpus"]:
        words = "contigs the language model was pretrained on, without labels of binding"
        both += [(words, leaks["corpus"]["train"])]
        words = "contigs held out of pretraining"
        both += [(words, leaks["corpus"]["validation"])]
    if leaks["shown"]:
        words = "windows that a second pretraining of the run told from their shuffles"
        both += [(words, leaks["shown"])]
    rows = [
        [
            words,
            *(f"{found[kind][label]:,}" for kind in KINDS for label in ("positives", "negatives")),
        ]
        for words, found in both
    ]
    head = ["test sequences that stand in the"]
    for words in ("whole", f"sharing {width} bases"):
        head += [f"positives, {words}", f"negatives, {words}"]
    return _table(head, rows)


def _provenance(metrics: Mapping, card: Mapping, stats: Mapping) -> str:
    training, shape = card.get("training", {}), card.get("architecture", {})
    kmers = card.get("vocabulary", {})
    best = metrics.get("best_stage"), metrics.get("best_epoch")
    rows = {
        "seed": metrics.get("seed"),
        "tokens": f"{kmers['k']}-mers, {count(kmers['stride'], 'base')} apart" if kmers else None,
        "network": ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shape.items()),
        "weights kept": f"stage {best[0]}, epoch {best[1]}" if all(best) else None,
        "validation AUROC": _number(metrics.get("validation_auroc")),
        "weights, SHA-256": card.get("sha256"),
        "language model, SHA-256": training.get("language_model_sha256"),
        "training table, SHA-256": training.get("train_sha256"),
        "validation table, SHA-256": training.get("validation_sha256"),
    }
    rows |= {f"{kind} file, SHA-256": digest for kind, digest in stats.get("sha256", {}).items()}
    rows["software"] = (
        f"DFLM {card.get('dflm_version')}, torch {card.get('torch_version')}" if card else None
    )
    terms = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>"
        for key, value in rows.items()
        if value not in (None, "")
    )
    settings = json.dumps(training.get("classifier", {}), indent=2, sort_keys=True)
    return (
        f"<dl>{terms}</dl><details><summary>settings of the classifier</summary>"
        f"<pre>{escape(settings)}</pre></details>"
    )
