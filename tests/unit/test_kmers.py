"""Base codes and k-mer ids against a slow peer."""

import itertools

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.sequences.kmers import (
    K_MAX,
    PAD,
    complement_ids,
    decode,
    encode,
    kmer_ids,
    reverse_complement,
    vocab_size,
)
from hypothesis import given
from hypothesis import strategies as st

dna = st.text("ACGTN", max_size=60)


def slow_ids(sequence: str, k: int, stride: int) -> list[int]:
    """Ids by their definition, one k-mer at a time."""
    ids = []
    for start in range(0, len(sequence) - k + 1, stride):
        kmer = sequence[start : start + k]
        ids.append(0 if "N" in kmer else 1 + int("".join(str("ACGT".index(b)) for b in kmer), 4))
    return ids


@given(dna, st.integers(1, K_MAX), st.integers(1, 9))
def test_ids_equal_the_definition(sequence, k, stride):
    ids = kmer_ids(encode(sequence), k, stride)
    assert ids.tolist() == slow_ids(sequence, k, stride)


@given(st.integers(1, K_MAX), st.integers(1, 4), st.integers(0, 30))
def test_a_batch_equals_its_rows(k, stride, length):
    codes = np.random.default_rng(length).integers(0, 5, (3, length), dtype=np.uint8)
    batch = kmer_ids(codes, k, stride)
    for row, one in zip(batch, codes, strict=True):
        assert row.tolist() == kmer_ids(one, k, stride).tolist()


@pytest.mark.parametrize("k", range(1, K_MAX + 1))
def test_ids_fill_the_vocabulary(k):
    first, last = kmer_ids(encode("A" * k), k), kmer_ids(encode("T" * k), k)
    assert (first.tolist(), last.tolist()) == ([PAD + 1], [vocab_size(k) - 1])


@given(dna)
def test_decode_is_the_inverse_of_encode(sequence):
    assert decode(encode(sequence)) == sequence
    assert decode(encode(sequence.lower().encode())) == sequence


@given(dna)
def test_reverse_complement(sequence):
    codes = encode(sequence)
    pairs = dict(zip("ACGTN", "TGCAN", strict=True))
    assert decode(reverse_complement(codes)) == "".join(pairs[b] for b in reversed(sequence))
    np.testing.assert_array_equal(reverse_complement(reverse_complement(codes)), codes)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_ids_of_complements_are_those_of_the_other_strand(k):
    every = np.array(list(itertools.product(range(4), repeat=k)), dtype=np.uint8)
    other = complement_ids(k)
    assert other.shape == (vocab_size(k),)
    assert other[PAD] == PAD
    ids = kmer_ids(every, k)[:, 0]
    np.testing.assert_array_equal(other[ids], kmer_ids(reverse_complement(every), k)[:, 0])


def test_reverse_complement_turns_only_the_last_axis():
    codes = np.array([[0, 1], [2, 4]], dtype=np.uint8)
    assert reverse_complement(codes).tolist() == [[2, 3], [4, 1]]


def test_ambiguities_are_n_and_u_is_t():
    assert decode(encode("RYSWKMBDHVNrysUu")) == "N" * 14 + "TT"


@pytest.mark.parametrize(
    ("sequence", "letter", "position"),
    [("ACGE", "E", 4), ("é", "é", 1), ("AC GT", " ", 3), (b"AC-", "-", 3), ("A?", "?", 2)],
)
def test_another_letter_is_named_with_its_position(sequence, letter, position):
    with pytest.raises(InputError, match=f"position {position} ") as caught:
        encode(sequence)
    assert repr(letter) in str(caught.value)


@pytest.mark.parametrize(("k", "stride"), [(0, 1), (9, 1), (3, 0), (-1, 1)])
def test_k_and_stride_out_of_range(k, stride):
    with pytest.raises(InputError):
        kmer_ids(encode("ACGT"), k, stride)
