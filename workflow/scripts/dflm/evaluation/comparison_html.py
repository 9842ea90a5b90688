"""The comparison of methods as one self-contained page: scores by set, and what they tell."""

from collections.abc import Mapping, Sequence
from html import escape

from dflm.evaluation.statistics import LOWER_IS_BETTER, Scores
from dflm.pages import SCRIPT, html_page, html_table

HEADINGS = (
    # key, heading, meaning
    ("metric", "metric", "what is compared"),
    ("method", "method", "name of the method, as in its folder"),
    ("reference", "reference", "the method that it is compared with"),
    ("sets", "sets", "sets that the method has a score of"),
    ("missing", "missing", "sets that another method has a score of, and this one has none"),
    ("seeds", "seeds", "the fewest seeds that a set's score is the mean of"),
    ("mean", "mean", "mean over the method's sets"),
    ("low", "95 % interval", "bootstrap interval of the mean over sets"),
    ("mean_rank", "mean rank", "over the sets that all methods have; 1 is the best"),
    ("difference", "difference", "mean of the reference minus this method, over paired sets"),
    ("difference_low", "95 % interval", "bootstrap interval of the mean difference"),
    ("wins", "win / tie / loss", "sets in which the reference is better, alike, worse"),
    ("p", "p", "Wilcoxon's signed ranks over paired sets, two-sided, exact"),
    ("p_holm", "p (Holm)", "corrected for the number of methods"),
)

WORDS = ("metric", "method", "reference")


def comparison_page(
    rows: Sequence[Mapping],
    scores: Scores,
    compared: Sequence[Mapping],
    metric: str,
    references: Sequence[str],
    tie: float,
    titles: Mapping[str, str],
) -> str:
    """Build the page.

    Parameters
    ----------
    rows : sequence of mapping
        One a set, in the order of the matrix: ``dataset``.
    scores : dict of str to dict of str to float
        By method and set, see `dflm.evaluation.statistics.average_seeds`.
    compared : sequence of mapping
        See `dflm.evaluation.statistics.compare`.
    metric : str
        That of `scores`.
    references : sequence of str
        The methods that the others are compared with.
    tie : float
        Largest difference that is called a tie.
    titles : mapping of str to str
        What methods are called for people.

    Returns
    -------
    str
        HTML 5.
    """
    names = {method: escape(titles.get(method, method)) for method in scores}
    head = '<th scope="col" class="w" title="name of the set">set</th>' + "".join(
        f'<th scope="col" class="n" title="{escape(method)}">{name}</th>'
        for method, name in names.items()
    )
    body = "\n".join(f"<tr>{_cells(row['dataset'], scores, metric)}</tr>" for row in rows)
    means = {one["method"]: one for one in compared if one["metric"] == metric}
    against = " and ".join(escape(titles.get(one, one)) for one in references)
    foot = "<td>MEAN</td>" + "".join(
        f'<td class="n" title="{_interval(one, "low", "high")}">{_mean(one)}</td>'
        for one in (means[method] for method in scores)
    )
    columns = "".join(
        f'<th scope="col" class="{"w" if key in WORDS else "n"}" '
        f'title="{escape(meaning)}">{escape(heading)}</th>'
        for key, heading, meaning in HEADINGS
    )
    lines = "\n".join(
        f"<tr>{''.join(_statistic(key, one, titles) for key, *_ in HEADINGS)}</tr>"
        for one in compared
    )
    return html_page(
        "Methods compared",
        f"""<h1>{escape(metric.upper())} of each method on each set</h1>
<p>On the same peaks, splits and test files; a method's seeds are averaged first. The best of a
set is blue. A click on a heading sorts; its tooltip says what the column is.</p>
{html_table(head, body, foot)}
<h1 style="margin-top:2rem">Compared with {against}</h1>
<p>Over sets, paired. A difference of up to {tie:g} is a tie. p-values: Wilcoxon's signed ranks,
corrected by Holm for the number of methods that a reference is compared with.</p>
{html_table(columns, lines)}""",
        script=SCRIPT,
    )


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _mean(one: Mapping) -> str:
    """Return a mean; how many sets it is over, where others have more."""
    text = _figure(one["mean"])
    if not one["missing"]:
        return text
    return f"{text} ({one['sets']} of {one['sets'] + one['missing']} sets)"


def _interval(one: Mapping, low: str, high: str) -> str:
    return "–" if one[low] is None else f"{one[low]:.3f} to {one[high]:.3f}"


def _cells(dataset: str, scores: Scores, metric: str) -> str:
    """Cells of one set; equal to three decimals is equally good."""
    known = {method: held[dataset] for method, held in scores.items() if dataset in held}
    choose = min if metric in LOWER_IS_BETTER else max
    best = _figure(choose(known.values())) if len(known) > 1 else None
    name = escape(dataset)
    cells = [f'<td class="name" data-value="{name}">{name}</td>']
    for method in scores:
        value = known.get(method)
        kind = "n best" if value is not None and _figure(value) == best else "n"
        sorted_by = "" if value is None else f"{value:.9g}"
        cells.append(f'<td class="{kind}" data-value="{sorted_by}">{_figure(value)}</td>')
    return "".join(cells)


def _statistic(key: str, one: Mapping, titles: Mapping[str, str]) -> str:
    """One cell of the table of statistics."""
    value = one[key]
    if key in WORDS:
        word = escape(value if key == "metric" else titles.get(value, value or ""))
        return f'<td data-value="{word}">{word}</td>'
    if value is None:
        return '<td class="n" data-value="">–</td>'
    if key in ("low", "difference_low"):
        shown = _interval(one, key, key.replace("low", "high"))
    elif key == "wins":
        shown = f"{value} / {one['ties']} / {one['losses']}"
    elif key in ("p", "p_holm"):
        shown = f"{value:.2g}"
    else:
        shown = (
            _figure(value, 2 if key == "mean_rank" else 3) if isinstance(value, float) else value
        )
    return f'<td class="n" data-value="{value:.9g}">{shown}</td>'
