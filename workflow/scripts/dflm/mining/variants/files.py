"""VCF files read, and written back with what variants do; the same as a table."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path, open_text
from dflm.mining.output import write_lines
from dflm.mining.variants.alleles import NO_WINDOW, TOO_LONG, Variant, fits
from dflm.mining.variants.scored import Scored

log = logging.getLogger(__name__)

COLUMNS = (
    "contig",
    "position",
    "id",
    "ref",
    "alt",
    "model",
    "status",
    "window_start",
    "window_end",
    "ref_log_odds",
    "alt_log_odds",
    "delta_log_odds",
    "ref_probability",
    "alt_probability",
    "delta_probability",
    "p_value",
    "q_value",
)
INFO, SKIPPED = "DFLM", "DFLM_SKIPPED"
INFO_FIELDS = "allele|model|delta_log_odds|delta_probability|ref_probability|alt_probability|p|q"


def read_variants(path: str | os.PathLike) -> list[tuple[int, Variant]]:
    """Read all alternative alleles of a VCF file: (number of its record, variant).

    Parameters
    ----------
    path : path-like
        VCF, plain or packed by bgzip, or BCF; ``-`` is standard input.

    Raises
    ------
    InputError
        If it is none of these.
    """
    found = []
    try:
        with _open(path) as file:
            str(file.header)  # as text, which is what is written back
            for number, record in enumerate(file):
                str(record)
                found += [
                    (
                        number,
                        Variant(record.contig, record.start, record.ref, alt, record.id or "."),
                    )
                    for alt in record.alts or ()
                ]
    except InputError:
        raise
    except NotImplementedError:  # of pysam, which goes back in a file that it opens
        what = "packed by gzip, in which nothing can be looked up"
        raise InputError(what, path, "unpack it, or pack it by bgzip") from None
    except UnicodeDecodeError as error:
        where = (
            f"byte {error.object[error.start]:#04x} behind {error.object[: error.start][-40:]!r}"
        )
        what = f"a letter that is not UTF-8 ({where})"
        raise InputError(what, path, "bring it to UTF-8, by iconv -f latin1 -t utf8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"no whole VCF file ({error})", path) from None
    return found


@contextlib.contextmanager
def _open(path: str | os.PathLike):
    """Open a VCF file; a pipe will do for one reading."""
    import pysam

    if str(path) != "-" and (not Path(path).exists() or Path(path).is_dir()):
        raise InputError("there is no such file", path)
    with _silent(), pysam.VariantFile(str(path)) as file:
        yield file


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep htslib off stderr: what is wrong is told by InputError."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


def _status(scored: Scored, model: int, number: int) -> str:
    reason = scored.reasons[number]
    if reason is not None:
        return reason
    if scored.rows[model][number] >= 0:
        return "scored"
    return NO_WINDOW if fits(scored.variants[number], scored.widths[model]) else TOO_LONG


def _values(scored: Scored, model: int, row: int) -> tuple[list[str], list[str]]:
    """Return what the table shows of an effect: its window, and its numbers."""
    effects = scored.effects[model]
    start = int(effects.window[row])
    place = [str(start), str(start + scored.widths[model])]
    numbers = [
        effects.ref_log_odds[row],
        effects.alt_log_odds[row],
        effects.delta_log_odds[row],
        effects.ref_probability[row],
        effects.alt_probability[row],
        effects.delta_probability[row],
        scored.p[model][row],
        scored.q[model][row],
    ]
    return place, ["." if np.isnan(value) else f"{value:.6g}" for value in numbers]


def variant_lines(scored: Scored) -> Iterator[str]:
    """Yield a line for each allele and model, with the columns `COLUMNS`; position from 1."""
    for number, variant in enumerate(scored.variants):
        what = (variant.contig, str(variant.position + 1), variant.name, variant.ref, variant.alt)
        for model, name in enumerate(scored.models):
            row = scored.rows[model][number]
            values = ["."] * 10
            if row >= 0:
                place, numbers = _values(scored, model, row)
                values = place + numbers
            yield "\t".join((*what, name, _status(scored, model, number), *values))


def write_variants(
    path: str | os.PathLike,
    source: str | os.PathLike,
    scored: Scored,
    records: Sequence[int],
) -> None:
    """Write the records of a VCF file with what the models say of their alleles.

    INFO/DFLM holds, for each scored allele and model, the fields `INFO_FIELDS`;
    INFO/DFLM_SKIPPED, for each allele that a model did not score, the model and why; ``*`` stands
    for all models.

    Parameters
    ----------
    path : path-like
        VCF to write; packed by bgzip where the name ends in ``.gz``, and indexed by tabix where
        the records are sorted.
    source : path-like
        The file that was read.
    scored : Scored
    records : sequence of int
        Number of each variant's record.
    """
    import pysam

    of_record: dict[int, list[int]] = {}
    for number, record in enumerate(records):
        of_record.setdefault(record, []).append(number)
    packed = str(path).endswith(".gz")
    described = {
        INFO: "what trained classifiers say of an allele: " + INFO_FIELDS,
        SKIPPED: "alleles not scored: allele|model (* for all)|why",
    }
    with atomic_path(path) as temporary, _open(source) as before:
        lines = str(before.header).splitlines()
        ours = tuple(f"##INFO=<ID={name}," for name in described)
        lines = [line for line in lines if not line.startswith(ours)]
        lines[-1:-1] = [
            f'##INFO=<ID={name},Number=.,Type=String,Description="{text}">'
            for name, text in described.items()
        ]
        with pysam.BGZFile(str(temporary), "wb") if packed else open(temporary, "wb") as after:
            after.write(("\n".join(lines) + "\n").encode())
            for number, record in enumerate(_lines(before, source)):
                fields = record.split("\t")
                fields[7] = _annotated(fields[7], scored, of_record.get(number, []))
                after.write(("\t".join(fields) + "\n").encode())
        _remove_indexes(path)  # lest the new file stand beside that of an earlier call
    if packed:
        _index(path)


def _lines(file, source: str | os.PathLike) -> Iterator[str]:
    """Yield the lines of a VCF file's records, as they stand in it.

    pysam would round numbers, and complete a changed record, by an END for one.
    """
    if file.format == "BCF":
        for record in file:
            yield str(record).rstrip("\n")
        return
    # By lines as htslib knows them: a carriage return within one is a letter.
    with open_text(source) as text:
        for line in text.buffer:
            content = line.decode().rstrip("\r\n").removeprefix("\ufeff")
            if content and not content.startswith("#"):
                yield content


def _remove_indexes(path: str | os.PathLike) -> None:
    for ending in ("tbi", "csi"):
        Path(f"{path}.{ending}").unlink(missing_ok=True)


def _index(path: str | os.PathLike) -> None:
    """Index a packed VCF: by a .tbi or, where contigs are longer than its 2**29 bases, a .csi."""
    import pysam

    with _silent():
        for csi in (False, True):
            with contextlib.suppress(OSError):
                pysam.tabix_index(str(path), preset="vcf", force=True, csi=csi)
                return
    log.warning("%s is not indexed: its records are not sorted", path)


def _annotated(info: str, scored: Scored, mine: Sequence[int]) -> str:
    """Return a record's INFO with ours in place of what an earlier call may have left."""
    kept = [
        field
        for field in info.split(";")
        if field.partition("=")[0] not in (INFO, SKIPPED) and field != "."
    ]
    effects = [text for one in mine for text in _info(scored, one)]
    skipped = [text for one in mine for text in _skipped(scored, one)]
    for name, values in ((INFO, effects), (SKIPPED, skipped)):
        if values:
            kept.append(f"{name}={','.join(values)}")
    return ";".join(kept) or "."


def _info(scored: Scored, number: int) -> Iterator[str]:
    for model, name in enumerate(scored.models):
        row = scored.rows[model][number]
        if row >= 0:
            _, numbers = _values(scored, model, row)
            chosen = [numbers[i] for i in (2, 5, 3, 4, 6, 7)]
            yield "|".join((scored.variants[number].alt, _safe(name), *chosen))


def _skipped(scored: Scored, number: int) -> Iterator[str]:
    allele = scored.variants[number].alt
    why = {name: _status(scored, i, number) for i, name in enumerate(scored.models)}
    if len(set(why.values())) == 1:
        why = {"*": next(iter(why.values()))}
    for name, status in why.items():
        if status != "scored":
            yield "|".join((allele, name if name == "*" else _safe(name), status))


def _safe(name: str) -> str:
    """Return a model's name without the signs that separate fields in INFO."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name)


def write_variant_table(path: str | os.PathLike, scored: Scored) -> int:
    """Write the table of `variant_lines`; return its number of rows."""
    return write_lines(path, variant_lines(scored), "\t".join(COLUMNS))
