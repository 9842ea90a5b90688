"""Shuffles keep dinucleotide counts, and every shuffle is equally likely."""

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.sequences.kmers import decode, encode
from dflm.sequences.shuffle import dinucleotide_shuffle, dinucleotide_shuffle_list
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare


def dinucleotides(codes) -> Counter:
    """Counts of the pairs of neighbours."""
    return Counter(pairwise(np.asarray(codes).tolist()))


def all_shuffles(sequence: str) -> set[str]:
    """Every distinct sequence with the ends and dinucleotide counts of this one, by trial."""
    codes = tuple(encode(sequence).tolist())
    counts = dinucleotides(codes)
    inner = set(permutations(codes[1:-1]))
    found = ((codes[0], *middle, codes[-1]) for middle in inner)
    return {decode(np.array(one)) for one in found if dinucleotides(one) == counts}


sequences = st.lists(st.integers(0, 4), max_size=150).map(lambda x: np.array(x, dtype=np.uint8))


@given(st.lists(sequences, max_size=5), st.integers(-(2**70), 2**70))
def test_counts_and_ends_are_kept(originals, seed):
    shuffles = dinucleotide_shuffle_list(originals, seed)
    assert len(shuffles) == len(originals)
    for original, shuffle in zip(originals, shuffles, strict=True):
        assert shuffle.dtype == np.uint8
        assert dinucleotides(original) == dinucleotides(shuffle)
        assert original[:1].tolist() == shuffle[:1].tolist()
        assert original[-1:].tolist() == shuffle[-1:].tolist()


@pytest.mark.parametrize(
    "sequence",
    [
        "ACAGACTA",  # many loops through one letter
        "AACACCAAC",  # two letters, repeats of one
        "ACGTACGGTC",
        "ATTNTANTTA",  # N is a letter like the others
        "CAGCATCGAC",  # ends where it begins
        "AAACAAAGAAA",  # self-loops, which last exits must not enter
    ],
)
def test_every_distinct_shuffle_is_equally_likely(sequence):
    expected = all_shuffles(sequence)
    assert len(expected) > 3
    draws = 2000 * len(expected)
    codes = np.tile(encode(sequence), (draws, 1))
    seen = Counter(decode(row) for row in dinucleotide_shuffle(codes, 20))
    assert set(seen) == expected
    assert chisquare([seen[one] for one in sorted(expected)]).pvalue > 1e-3


@pytest.mark.parametrize("sequence", ["", "A", "AC", "ACG", "AAAAAAAA", "NNNNN", "ACGTN", "AAAC"])
def test_what_has_one_shuffle_stays_itself(sequence):
    codes = encode(sequence)
    assert decode(dinucleotide_shuffle(codes[None], 1)[0]) == sequence
    assert decode(dinucleotide_shuffle_list([codes], 1)[0]) == sequence


def test_no_sequences():
    assert dinucleotide_shuffle(np.empty((0, 101), dtype=np.uint8), 1).shape == (0, 101)
    assert dinucleotide_shuffle(np.empty((3, 0), dtype=np.uint8), 1).shape == (3, 0)
    assert dinucleotide_shuffle_list([], 1) == []


def test_a_shuffle_depends_on_its_own_sequence_seed_and_place_only():
    codes = np.random.default_rng(3).integers(0, 4, (50, 101), dtype=np.uint8)
    together = dinucleotide_shuffle(codes, 7)
    changed = codes.copy()
    changed[:20] = 0
    np.testing.assert_array_equal(dinucleotide_shuffle(changed, 7)[20:], together[20:])
    np.testing.assert_array_equal(np.stack(dinucleotide_shuffle_list(list(codes), 7)), together)
    assert (dinucleotide_shuffle(codes, 8) != together).any(axis=1).all()
    # Neighbouring places and seeds draw unlike shuffles of the same sequence.
    same = [dinucleotide_shuffle(np.tile(codes[0], (500, 1)), seed) for seed in (7, 8)]
    assert len({row.tobytes() for row in np.concatenate(same)}) == 1000


def test_a_long_sequence_with_a_rare_way_out_ends():
    codes = encode("A" * 200_000 + "C" + "A" * 200_000 + "G")
    assert dinucleotides(dinucleotide_shuffle(codes[None], 1)[0]) == dinucleotides(codes)


def test_the_input_is_not_touched_and_wrong_codes_are_refused():
    codes = np.random.default_rng(3).integers(0, 4, (5, 20), dtype=np.uint8)
    before = codes.copy()
    dinucleotide_shuffle(codes, 1)
    np.testing.assert_array_equal(codes, before)
    with pytest.raises(InputError, match="base code 5"):
        dinucleotide_shuffle(np.full((1, 9), 5, dtype=np.uint8), 1)
