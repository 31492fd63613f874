"""Rules on how much each person counts, and facenet's choice of triplets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceall.errors import AlignError, TrainError
from faceall.train.align.options import AlignOptions
from faceall.train.data.people import (
    DatasetRules,
    crop_sizes,
    epoch,
    find_people,
    hold_out,
    people_batch,
    vgg_triplets,
)


def make(folder: Path, **images: int) -> Path:
    """FOLDER/NAME/ with so many files each; they are never read here."""
    for name, count in images.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number:03d}.jpg").write_bytes(b"x" * (number + 1))
    return folder


def test_people_with_too_few_images_are_left_out_and_of_many_some_are_drawn(tmp_path: Path) -> None:
    """The draw is the same for the same seed, whoever else is there."""
    rules = DatasetRules(minimum=2, maximum=5)
    people = find_people(make(tmp_path / "a", ann=1, bob=3, cy=20), rules, seed=1)
    assert people.names == ("bob", "cy")
    assert np.bincount(people.labels).tolist() == [3, 5]
    again = find_people(make(tmp_path / "b", cy=20, dan=4), rules, seed=1)
    drawn = [{file.name for file in some.files if file.parent.name == "cy"} for some in (people, again)]
    assert drawn[0] == drawn[1]
    other = find_people(tmp_path / "b", rules, seed=2)
    assert drawn[0] != {file.name for file in other.files if file.parent.name == "cy"}


def test_fewer_than_two_people_are_refused(tmp_path: Path) -> None:
    """The text says how many had too few images."""
    with pytest.raises(TrainError, match=r"images of 1 people \(1 have fewer than 2 images\)"):
        find_people(make(tmp_path, ann=1, bob=3), DatasetRules(minimum=2), seed=0)
    with pytest.raises(TrainError, match="is not a folder"):
        find_people(tmp_path / "absent", DatasetRules(), seed=0)


def test_the_default_repeats_are_those_of_mobile_facenet_keras() -> None:
    """31 to 90 images four times, 91 to 200 twice, more once."""
    rules = DatasetRules(minimum=31, maximum=350, balance="repeat")
    assert [rules.times(count) for count in (31, 90, 91, 200, 201, 350)] == [4, 4, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("balance", "expected"), [("none", [3, 10, 2]), ("people", [10, 10, 10]), ("repeat", [12, 20, 8])]
)
def test_an_epoch_holds_each_person_as_often_as_the_rules_say(balance: str, expected: list[int]) -> None:
    """By image, by person, or with the images of people who have few of them several times."""
    labels = np.repeat([0, 1, 2], [3, 10, 2])
    rules = DatasetRules(balance=balance, repeats=((5, 4), (20, 2)))  # type: ignore[arg-type]
    drawn = epoch(labels, rules, np.random.default_rng(0))
    assert np.bincount(labels[drawn]).tolist() == expected
    assert set(drawn) == set(range(15))


def test_rules_that_contradict_each_other_are_refused() -> None:
    """At most fewer than at least; repeats out of order."""
    with pytest.raises(TrainError, match="contradict"):
        DatasetRules(minimum=5, maximum=4)
    with pytest.raises(TrainError, match="rising"):
        DatasetRules(repeats=((9, 2), (3, 4)))


def test_a_batch_of_people_holds_pairs() -> None:
    """So many people, so many images each; people with one image only where there are no others."""
    labels = np.repeat([0, 1, 2, 3], [1, 5, 2, 4])
    for seed in range(20):
        drawn = people_batch(labels, 3, 4, np.random.default_rng(seed))
        assert sorted(np.unique(labels[drawn]).tolist()) == [1, 2, 3]
        assert np.bincount(labels[drawn]).tolist()[1:] == [4, 4, 4]
        assert len(set(drawn[labels[drawn] == 1])) == 4
    with pytest.raises(TrainError, match="there are 4"):
        people_batch(labels, 5, 2, np.random.default_rng(0))


def test_chosen_triplets_break_the_margin() -> None:
    """Against a search through all triplets: each pair with any breaking negative is there once, with one of them."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((24, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 2 - 2 * vectors @ vectors.T
    labels = np.repeat(np.arange(6), 4)
    margin = 0.2
    chosen = {(a, p): n for a, p, n in vgg_triplets(distances, labels, margin, random).tolist()}
    for anchor in range(24):
        for positive in range(anchor + 1, 24):
            if labels[anchor] != labels[positive]:
                continue
            breaking = [
                negative
                for negative in range(24)
                if labels[negative] != labels[anchor]
                and distances[anchor, negative] - distances[anchor, positive] < margin
            ]
            assert ((anchor, positive) in chosen) == bool(breaking)
            assert not breaking or chosen[anchor, positive] in breaking
    assert len(vgg_triplets(distances * 0 + np.where(labels[:, None] == labels, 0, 4), labels, margin, random)) == 0


def test_held_out_images_leave_two_of_each_person(tmp_path: Path) -> None:
    """A share of all, the same every time, none of people with two; more images of others change the choice."""
    make(tmp_path, ada=10, bob=2, eve=8)
    people = find_people(tmp_path, DatasetRules(), seed=0)
    learn, held = hold_out(people, 0.2, seed=3)
    assert (len(learn), len(held)) == (16, 4)
    assert not set(learn.files) & set(held.files)
    assert set(learn.files) | set(held.files) == set(people.files)
    assert people.names.index("bob") not in held.labels
    assert hold_out(people, 0.2, seed=3)[1].files == held.files
    most = hold_out(people, 0.5, seed=3)[0]
    assert set(held.files) < set(hold_out(people, 0.5, seed=3)[1].files)
    assert np.bincount(most.labels).min() == 2
    assert len(hold_out(people, 0.0, seed=3)[1]) == 0


def test_crops_have_the_sizes_that_their_alignment_says(tmp_path: Path) -> None:
    """160 of 184 pixels where nobody says; a record that is damaged is named."""
    assert crop_sizes(tmp_path) == (160, 184)
    (tmp_path / "align.json").write_text(AlignOptions(size=96, room=0.0).to_json(), "utf-8")
    assert crop_sizes(tmp_path) == (96, 96)
    (tmp_path / "align.json").write_text("{}", "utf-8")
    with pytest.raises(AlignError, match=r"align\.json: is not a record of an alignment"):
        crop_sizes(tmp_path)
