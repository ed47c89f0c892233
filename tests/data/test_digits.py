"""The recordings in the package, and the batches made of them."""

import numpy as np
import pytest
import torch

from fewbit.data import data_folder, join, spoken_digits
from fewbit.demo.recipe import FEATURES
from fewbit.errors import ArgumentError, DataError
from fewbit.features import LogMel


@pytest.fixture(scope="module")
def digits():
    return spoken_digits()


def test_the_package_holds_610_clips_of_four_people(digits):
    assert (len(digits.train), len(digits.test), len(digits.unseen)) == (360, 150, 100)
    known = {clip.speaker for clip in digits.train}
    assert known == {clip.speaker for clip in digits.test} == {"george", "jackson", "lucas"}
    assert {clip.speaker for clip in digits.unseen} == {"nicolas"}
    for clips, times in ((digits.train, 36), (digits.test, 15), (digits.unseen, 10)):
        words = [clip.text for clip in clips]
        assert all(words.count(word) == times for word in digits.alphabet.tokens)


def test_no_recording_is_both_trained_on_and_tested_on(digits):
    names = [clip.name for clips in (digits.train, digits.test, digits.unseen) for clip in clips]
    assert len(set(names)) == len(names)
    sounds = [clip.samples.tobytes() for clips in (digits.train, digits.test, digits.unseen) for clip in clips]
    assert len(set(sounds)) == len(sounds)


def test_embedded_clips_are_those_of_the_data_set(digits):
    folder = data_folder("fsdd")
    if folder is None:
        pytest.skip("set FEWBIT_DATA to a folder that holds fsdd to compare with the original recordings")
    original = {
        clip.name: clip for part in ("train", "test", "unseen") for clip in getattr(spoken_digits(folder), part)
    }
    for clip in (*digits.train, *digits.test, *digits.unseen):
        assert np.array_equal(clip.samples, original[clip.name].samples), clip.name
        assert (clip.text, clip.speaker) == (original[clip.name].text, original[clip.name].speaker)


def test_a_stream_says_where_its_words_are(digits):
    samples, spoken = join(digits.test[:5], digits.sample_rate, np.random.default_rng(0))
    for word, clip in zip(spoken, digits.test[:5], strict=True):
        start = round(word.start * digits.sample_rate)
        assert word.text == clip.text
        assert np.array_equal(samples[start : start + len(clip.samples)], clip.samples)


def test_batches_are_whole_and_aligned(digits):
    batch = next(iter(digits.batches(FEATURES, utterances=16, seconds=3.0)))
    assert batch.inputs.shape == (16, 300, 40)
    assert torch.isfinite(batch.inputs).all()
    assert batch.target_lengths.sum() == len(batch.targets)
    said = batch.targets.split(batch.target_lengths.tolist())
    for labels, frames in zip(said, batch.alignment, strict=True):
        runs = [int(c) for c in torch.unique_consecutive(frames) if c]
        # Equal neighbours without a gap melt into one run of the alignment.
        merged = [label for i, label in enumerate(labels.tolist()) if i == 0 or label != labels[i - 1]]
        assert [run for i, run in enumerate(runs) if i == 0 or run != runs[i - 1]] == merged


def test_the_same_seed_gives_the_same_batch_and_the_next_epoch_another(digits):
    loader = digits.batches(LogMel(mels=8, sample_rate=8000), utterances=4, batch_size=4, seed=3)
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        loader.generator.manual_seed(3)
        results.append([next(iter(loader)).inputs for _ in range(2)])
    assert torch.equal(results[0][0], results[1][0])
    assert not torch.equal(results[0][0], results[0][1])


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no manifest.tsv; wanted the Free Spoken Digit Dataset"):
        spoken_digits(tmp_path)
    with pytest.raises(ArgumentError, match="no speaker 'nobody' among the clips; there are"):
        spoken_digits(unseen="nobody")
