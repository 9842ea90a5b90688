"""Sets of stretches are what they are base by base."""

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.sequences.intervals import joined, read_bed, without, write_bed
from hypothesis import given
from hypothesis import strategies as st

stretches = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=8)


def rows(found):
    return np.array([(start, start + size) for start, size in found], dtype=np.int64).reshape(-1, 2)


def apart(found):
    """In order, the next where the one before ends or later."""
    ends, result = 0, []
    for skipped, size in found:
        result.append((ends + skipped % 4, size))
        ends = sum(result[-1])
    return rows(result)


def bases(found):
    return {base for start, end in found.tolist() for base in range(start, end)}


@given(stretches)
def test_joined_stretches_hold_the_same_bases_each_once(found):
    union = joined(rows(found))
    assert bases(union) == bases(rows(found))
    assert (union[1:, 0] > union[:-1, 1]).all()


@given(stretches, stretches)
def test_without_takes_out_bases_and_parts_nothing_else(found, removed):
    found, removed = apart(found), joined(rows(removed))
    left = without(found, removed)
    gone = bases(removed)
    expected = []
    for start, end in found.tolist():
        for base in range(start, end):
            if base in gone:
                continue
            if base > start and base - 1 not in gone:
                expected[-1][1] = base + 1
            else:
                expected.append([base, base + 1])
    assert left.tolist() == expected


def test_a_file_comes_back_as_it_was_written(tmp_path):
    written = {"chr 1": rows([(3, 4), (9, 1)]), "none": rows([]), "b": rows([(0, 7)])}
    path = tmp_path / "a.bed"
    write_bed(path, written)
    assert path.read_text() == "chr 1\t3\t7\nchr 1\t9\t10\nb\t0\t7\n"
    again = read_bed(path)
    assert {name: one.tolist() for name, one in again.items()} == {
        name: one.tolist() for name, one in written.items() if len(one)
    }
    path.write_text("chr1\t3\n")
    with pytest.raises(InputError, match="line 1: no contig, start and end"):
        read_bed(path)
