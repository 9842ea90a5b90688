"""Tokens on the device are those of the reference, and streams lose nothing."""

import numpy as np
import pytest
import torch
from dflm.errors import InputError
from dflm.sequences.kmers import N, encode, kmer_ids, reverse_complement
from dflm.training.batches import BPTTStream, SequenceBatches, kmer_tokens
from hypothesis import given
from hypothesis import strategies as st

CPU = torch.device("cpu")


@given(
    st.lists(st.integers(0, 4), max_size=60),
    st.integers(1, 8),
    st.integers(1, 9),
)
def test_tokens_equal_the_reference_ids(bases, k, stride):
    codes = np.array(bases, dtype=np.uint8)
    tokens = kmer_tokens(torch.from_numpy(codes), k, stride)
    assert tokens.tolist() == np.asarray(kmer_ids(codes, k, stride)).tolist()


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (3, 2), (4, 5), (8, 3)])
@pytest.mark.parametrize("vary", [False, True])
def test_windows_hold_each_token_of_each_stream_once_and_in_order(k, stride, vary):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 3001).astype(np.uint8)
    ids = np.asarray(kmer_ids(codes, k, stride))
    stream = BPTTStream(torch.from_numpy(codes), k, stride, batch_size=7, bptt=20)
    tokens, targets = zip(
        *(stream.window(*w) for w in stream.windows(rng if vary else None)), strict=True
    )
    tokens, targets = torch.cat(tokens, 1), torch.cat(targets, 1)
    assert tokens.shape == (7, stream.length)
    for b in range(7):
        start = b * stream.length
        assert tokens[b].tolist() == ids[start : start + stream.length].tolist()
        assert targets[b].tolist() == ids[start + 1 : start + stream.length + 1].tolist()
    # what is lost of the corpus is less than one token a stream
    assert len(ids) - 1 - len(stream) < 7


def test_variable_windows_have_the_lengths_of_merity_et_al():
    stream = BPTTStream(torch.zeros(10**6, dtype=torch.uint8), 1, 1, batch_size=1, bptt=70)
    lengths = np.array([n for _, n in stream.windows(np.random.default_rng(1))][:-1])
    assert lengths.min() >= 5
    assert abs(np.median(lengths) - 70) <= 2
    assert 0.03 < (lengths < 50).mean() < 0.07
    assert {n for _, n in stream.windows()[:-1]} == {70}


def test_a_corpus_too_short_for_a_token_and_its_target_is_refused():
    with pytest.raises(InputError, match="tokens"):
        BPTTStream(torch.zeros(3, dtype=torch.uint8), 3, 1, 4, 70)
    assert BPTTStream(torch.zeros(20, dtype=torch.uint8), 3, 1, 64, 70).batch_size == 1


SEQUENCES = ["ACGTACGTTT", "GGGGCCCCAA", "TTGACGT", "ACNNACGTAC"]


def test_both_strands_are_at_hand_and_short_sequences_are_padded_at_the_end():
    batches = SequenceBatches(SEQUENCES, None, 3, 1, CPU)
    for strand in (0, 1):
        (tokens,) = list(batches.ordered(10, strand))
        for row, sequence in zip(tokens, SEQUENCES, strict=True):
            codes = encode(sequence)
            if strand:
                codes = reverse_complement(codes)
            ids = np.asarray(kmer_ids(codes, 3, 1)).tolist()
            assert row.tolist() == ids + [0] * (8 - len(ids))
    assert (batches.codes[:, 2, 7:] == N).all()


def test_an_epoch_shows_each_sequence_once_and_depends_on_the_seed_alone():
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(101)]
    labels = np.arange(101)
    batches = SequenceBatches(sequences, labels, 2, 1, CPU)

    def epoch(seed, both=False):
        parts = list(batches.shuffled(10, both, seed))
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])

    tokens, order = epoch((1, 0))
    assert sorted(order.tolist()) == list(range(101))
    assert torch.equal(tokens, batches.tokens(order, 0))
    assert torch.equal(order, epoch((1, 0))[1])
    assert not torch.equal(order, epoch((1, 1))[1])
    tokens, order = epoch((1, 0), both=True)
    forward, reverse = batches.tokens(order, 0), batches.tokens(order, 1)
    turned = (tokens == reverse).all(1)
    assert torch.equal(tokens, torch.where(turned[:, None], reverse, forward))
    assert 30 < int(turned.sum()) < 70


@pytest.mark.parametrize(("number", "sizes"), [(34, {17}), (65, {21, 22}), (31, {31}), (1, set())])
def test_batches_are_of_one_size_and_none_is_of_a_single_sequence(number, sizes):
    batches = SequenceBatches(["ACGTACGT"] * number, np.zeros(number), 2, 1, CPU)
    assert {len(labels) for _, labels in batches.shuffled(32, True, (1,))} == sizes


def test_sequences_shorter_than_two_tokens_are_refused():
    with pytest.raises(InputError, match="bases long"):
        SequenceBatches(["ACG"], None, 3, 1, CPU)


def test_fresh_negatives_keep_dinucleotides_ends_and_positives():
    rng = np.random.default_rng(4)
    sequences = ["".join(rng.choice(list("ACGT"), 101)) for _ in range(12)]
    labels = np.array([1, 0, 0] * 4)
    batches = SequenceBatches(sequences, labels, 3, 1, CPU)
    given = batches.codes.clone()

    def pairs(codes):
        return torch.stack([torch.bincount(5 * c[:-1].int() + c[1:], minlength=25) for c in codes])

    draws = []
    for seed in (1, 2, 1):
        batches.shuffle_negatives((7, seed))
        forward, reverse = batches.codes.clone()
        draws.append(forward)
        assert torch.equal(forward[labels == 1], given[0][labels == 1])
        assert torch.equal(reverse[labels == 1], given[1][labels == 1])
        assert torch.equal(pairs(forward), pairs(given[0]))
        for row in range(len(sequences)):
            assert np.array_equal(reverse_complement(forward[row].numpy()), reverse[row].numpy())
    drawn = torch.from_numpy(labels == 0)
    assert (draws[0][drawn] != draws[1][drawn]).any(dim=1).all()
    # A draw depends on its seed alone, not on the draws before it: a resumed run repeats it.
    assert torch.equal(draws[0], draws[2])


def test_shuffles_of_unlike_lengths_are_refused_as_they_would_take_the_filling_in():
    batches = SequenceBatches(["ACGTACGTACGT", "ACGTTGCA"], np.array([1, 0]), 2, 1, CPU)
    with pytest.raises(InputError, match="set fresh_negatives to false"):
        batches.shuffle_negatives((1,))


def test_with_a_stride_each_batch_begins_its_tokens_somewhere_and_leaves_two():
    codes = np.random.default_rng(8).integers(0, 4, (40, 21)).astype(np.uint8)
    sequences = ["".join("ACGT"[code] for code in row) for row in codes]
    batches = SequenceBatches(sequences, np.arange(40), 4, 3, CPU)
    begun = set()
    for epoch in range(9):
        for tokens, names in batches.shuffled(8, False, (1, epoch)):
            wanted = [
                [list(kmer_ids(codes[name, phase:], 4, 3)) for name in names] for phase in range(3)
            ]
            begun.add(wanted.index(tokens.tolist()))
    assert begun == {0, 1, 2}
    short = SequenceBatches([sequence[:8] for sequence in sequences], None, 4, 3, CPU)
    assert {tokens.size(1) for tokens, _ in short.shuffled(8, False, (1, 1))} == {2}
    assert torch.equal(next(batches.ordered(8, 0)), batches.tokens(slice(0, 8), 0))
