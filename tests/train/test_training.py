"""Trainings from end to end, on small data: they learn, they go on after a kill, and the converter takes the result."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from faces import noise_shard, real_people

pytest.importorskip("keras", reason="training needs Keras")
pytest.importorskip("tensorflow", reason="Keras computes with TensorFlow here")

from faceall import Embedder
from faceall.caffe import read_caffemodel
from faceall.errors import TrainError
from faceall.images import write_image
from faceall.train.align.options import AlignOptions
from faceall.train.checkpoints import list_checkpoints, read_checkpoint
from faceall.train.classification.batches import LabelledImages, choose_triplets, measure_people
from faceall.train.classification.run import train_classifier
from faceall.train.data.augmentation import NO_AUGMENTATION, Augmentation
from faceall.train.data.people import find_people
from faceall.train.data.shards import open_shard
from faceall.train.distillation import run as distill_module
from faceall.train.distillation.run import branch, distill
from faceall.train.events import Events
from faceall.train.export import ExportOptions, export_model, run_weights
from faceall.train.options import ClassificationOptions, DistillationOptions
from faceall.train.run_folder import RunFolder
from faceall.train.training import Loop
from faceall_cli.main import main

SMALL = {
    "architecture": "mobile_facenet",
    "width": 0.25,
    "multiple": 4,
    "embedding_size": 16,
    "image_size": 48,
    "inner": 48,
    "warm_up": 2,
    "teacher": "colours",
    "batch": 16,
}


def small(**changes: object) -> DistillationOptions:
    """A distillation of a small net."""
    return DistillationOptions(**{**SMALL, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of noise with a teacher."""
    return noise_shard(tmp_path_factory.mktemp("faces") / "noise")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_training as t
make = t.distill_module.DistillationBatches.__call__
def dying(self, step):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return make(self, step)
t.distill_module.DistillationBatches.__call__ = dying
shards, loop = [t.open_shard(Path({shard!r}))], t.Loop(checkpoint_steps=3, threads=0)
t.distill(Path({run!r}), shards, t.small(length=10), loop=loop)
"""


def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(shard: Path, tmp_path: Path) -> None:
    """SIGKILL after seven of ten steps; it goes on from the checkpoint after six, to the same bits."""
    whole = distill(tmp_path / "whole", [open_shard(shard)], small(length=10), loop=Loop(threads=1))
    code = KILLED.format(tests=str(Path(__file__).parent), run=str(tmp_path / "killed"), shard=str(shard))
    path = os.pathsep.join([entry for entry in sys.path if entry])
    child = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert child.returncode == -signal.SIGKILL
    checkpoints = list_checkpoints(tmp_path / "killed" / "checkpoints")
    assert read_checkpoint(checkpoints[-1]).step == 6
    resumed = distill(tmp_path / "killed", [open_shard(shard)], loop=Loop(threads=1))
    assert resumed.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)
    assert RunFolder(tmp_path / "killed").results()[-1]["step"] == 10


def test_a_run_with_other_options_or_of_another_kind_is_refused(shard: Path, tmp_path: Path) -> None:
    """Nothing of it is touched; without any run there is nothing to go on with."""
    run = RunFolder(tmp_path / "run")
    run.begin({"kind": "distillation", "options": small().to_json(), "data": []})
    with pytest.raises(TrainError, match="other options"):
        distill(run.path, [open_shard(shard)], small(seed=5))
    with pytest.raises(TrainError, match="no run to resume"):
        distill(tmp_path / "absent", [open_shard(shard)])
    run.describe({"kind": "identification", "options": {}, "data": []})
    with pytest.raises(TrainError, match="another kind, 'identification'"):
        distill(run.path, [open_shard(shard)])


def test_a_branch_ends_a_run_that_stays_as_it_is(shard: Path, tmp_path: Path) -> None:
    """It goes on for four steps, over which the rate falls to nothing; the student comes out as a model that runs."""
    distill(tmp_path / "run", [open_shard(shard)], small(length=6), loop=Loop(threads=0))
    before = list_checkpoints(tmp_path / "run" / "checkpoints")
    new = branch(tmp_path / "run", tmp_path / "end", steps=4)
    weights = distill(new.path, [open_shard(shard)], loop=Loop(threads=0, measure_every=1))
    assert list_checkpoints(tmp_path / "run" / "checkpoints") == before
    rates = [entry["rate"] for entry in new.results()]
    assert rates == sorted(rates, reverse=True)
    assert new.results()[-1]["step"] == 10
    assert new.about()["branch_of"] == {"run": "run", "step": 6}
    options = DistillationOptions.from_json(new.about()["options"])
    done = export_model(weights, options, tmp_path / "model", ExportOptions(name="small", licence="test", half=True))
    assert done.report.maximum < 1e-5
    embedder = Embedder(tmp_path / "model")
    manifest = embedder.model.manifest
    assert (manifest.name, manifest.licence, manifest.input_size, embedder.size) == ("small", "test", (48, 48), 16)
    vectors = embedder.embed_crops(np.asarray(np.load(shard / "crops.npy")[:4, 4:52, 4:52]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    stored = read_caffemodel(embedder.model.caffemodel.read_bytes())
    assert all(np.array_equal(array, array.astype(np.float16).astype(np.float32)) for array in stored.values())
    numbers = sum(array.size for array in stored.values())
    assert embedder.model.caffemodel.stat().st_size < 2 * numbers + 40_000


def test_a_second_teacher_is_learnt_from_where_another_run_stands(shard: Path, tmp_path: Path) -> None:
    """The new run begins with the other's weights, learns both teachers, and finishes and goes on with its targets."""
    folder = tmp_path / "noise"
    shutil.copytree(shard, folder)
    vectors = np.load(folder / "colours.npy")
    np.save(folder / "shapes.npy", (vectors[:, ::-1] ** 3 + 0.5).astype(np.float32))
    shards = [open_shard(folder)]
    distill(tmp_path / "one", shards, small(length=20), loop=Loop(threads=1))
    weights = run_weights(tmp_path / "one")[0]
    both = small(second="shapes", length=20)
    distill(tmp_path / "both", shards, both, begin_with=tmp_path / "one", loop=Loop(checkpoint_steps=20, threads=1))
    begun = read_checkpoint(tmp_path / "both/checkpoints/step-000000020.npz")
    assert RunFolder(tmp_path / "both").about()["begun_with"] == {"run": "one", "step": 20}
    assert all(value.shape == weights[name].shape for name, value in begun.weights.items())
    distill(tmp_path / "none", shards, both, loop=Loop(checkpoint_steps=20, threads=1))
    losses = {name: RunFolder(tmp_path / name).results()[-1]["loss"] for name in ("both", "none")}
    assert losses["both"] < losses["none"]
    distill(branch(tmp_path / "both", tmp_path / "end", steps=5).path, shards, loop=Loop(threads=1))
    np.testing.assert_array_equal(np.load(tmp_path / "end/middles.npy"), np.load(tmp_path / "both/middles.npy"))
    with pytest.raises(TrainError, match=r"no vectors of 'shapes', a teacher of .*both"):
        distill(tmp_path / "less", [open_shard(shard)], small(), begin_with=tmp_path / "both")
    (tmp_path / "end/middles.npy").unlink()
    with pytest.raises(TrainError, match="is missing"):
        distill(tmp_path / "end", shards)


def people_options(loss: str, **changes: object) -> ClassificationOptions:
    """A small net that is to know six people by heart."""
    options = {
        **{name: SMALL[name] for name in ("architecture", "width", "multiple", "image_size", "warm_up")},
        "embedding_size": 32,
        "inner": 48,
        "batch": 24,
        "people": 6,
        "rate": 5e-3,
        "weight_decay": 0.0,
        "momentum": 0.8,
        "augmentation": NO_AUGMENTATION,
        "loss": loss,
        "scale": 16.0,
        "length": 60,
        **changes,
    }
    return ClassificationOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "loss",
    [
        "arcface",
        "triplet",
        pytest.param("softmax", marks=pytest.mark.slow),
        pytest.param("center", marks=pytest.mark.slow),
        pytest.param("semi-hard", marks=pytest.mark.slow),
    ],
)
def test_every_loss_learns_real_people_by_heart(loss: str, shared: Path, tmp_path: Path) -> None:
    """Six people of LFW's view 1: each image's nearest other is of the same person, for more than 0.95 of them."""
    data = real_people(shared, tmp_path / "people", people=6)
    train_classifier(tmp_path / "run", data, people_options(loss), loop=Loop(keep_average=0.0, threads=1))
    assert RunFolder(tmp_path / "run").results()[-1]["nearest"] > 0.95


def test_the_command_people_trains_and_goes_on(tmp_path: Path) -> None:
    """Three people of noise from the command line: two steps with a bar, which the same command finds done."""
    for number, crop in enumerate(np.load(noise_shard(tmp_path / "noise", count=6) / "crops.npy")):
        folder = tmp_path / "faces" / f"person {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{number}.png", crop)
    run = tmp_path / "run"
    net = ["--architecture", "mobile_facenet", "--width", "0.125", "--image-size", "32", "--batch", "4"]
    options = [*net, "--warm-up", "0", "--steps", "2", "--measure-every", "1"]
    for _ in range(2):
        done = CliRunner().invoke(main, ["train", "classify", str(run), str(tmp_path / "faces"), *options])
        assert done.exit_code == 0, done.output
    assert [values["step"] for values in RunFolder(run).results()] == [1, 2]


def test_the_command_people_takes_the_sizes_of_an_alignment(tmp_path: Path) -> None:
    """Crops that `faceall align` made at another size, with more room, are seen as it cut them; some are held out."""
    faces = tmp_path / "faces"
    for number, crop in enumerate(np.load(noise_shard(tmp_path / "noise", count=12) / "crops.npy")):
        folder = faces / f"person {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{number}.png", crop)
    (faces / "align.json").write_text(AlignOptions(size=40, room=0.4).to_json(), "utf-8")
    net = ["--architecture", "mobile_facenet", "--width", "0.125", "--image-size", "32", "--batch", "4"]
    options = [*net, "--warm-up", "0", "--steps", "1", "--measure-every", "1", "--held-out", "0.25"]
    done = CliRunner().invoke(main, ["train", "classify", str(tmp_path / "run"), str(faces), *options])
    assert done.exit_code == 0, done.output
    run = RunFolder(tmp_path / "run")
    assert [run.about()["options"][name] for name in ("inner", "side")] == [40, 56]
    assert run.about()["data"][0]["images"] == 9
    listed = (run.path / "held_out.txt").read_text("utf-8").splitlines()
    assert len(listed) == 3
    assert all((faces / name).is_file() for name in listed)
    assert 0 <= run.results()[-1]["held_out"] <= 1


def test_an_untrained_net_passes_the_gate(shard: Path, tmp_path: Path) -> None:
    """Its statistics are those of its first batch, so its vectors do not die out: whole MobileFaceNet, 1e-5."""
    options = small(width=1.0, multiple=1, embedding_size=24, warm_up=0)
    distill(tmp_path / "run", [open_shard(shard)], replace(options, length=1), loop=Loop(threads=0, checkpoint_steps=1))
    first = read_checkpoint(list_checkpoints(tmp_path / "run/checkpoints")[0])
    assert first.step == 0
    done = export_model(first.weights, options, tmp_path / "model", ExportOptions(name="untrained"))
    assert done.report.maximum < 1e-5


def test_a_training_that_cannot_begin_leaves_no_run(tmp_path: Path) -> None:
    """Numbers that contradict are refused before the run folder is made, so that the mended command can have it."""
    for number, crop in enumerate(np.load(noise_shard(tmp_path / "noise", count=4) / "crops.npy")):
        (tmp_path / "faces" / f"{number % 2}").mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "faces" / f"{number % 2}" / f"{number}.png", crop)
    with pytest.raises(TrainError, match="cannot have equally many of 5 people"):
        train_classifier(tmp_path / "run", tmp_path / "faces", people_options("triplet", people=5))
    assert not (tmp_path / "run").exists()


def test_events_hold_what_was_measured(tmp_path: Path) -> None:
    """Each number but the step is a scalar of TensorBoard's; TensorBoard need not be installed to write them."""
    import tensorflow as tf

    Events(tmp_path).write({"step": 20, "loss": 0.75, "nearest": 0.5})
    (file,) = tmp_path.iterdir()
    found = [event for event in tf.compat.v1.train.summary_iterator(str(file)) if event.summary.value]
    assert {event.step for event in found} == {20}
    values = [value for event in found for value in event.summary.value]
    assert {value.tag: float(tf.make_ndarray(value.tensor)) for value in values} == {"loss": 0.75, "nearest": 0.5}
    assert {value.metadata.plugin_data.plugin_name for value in values} == {"scalars"}


def test_a_triplet_batch_obeys_the_margin(shared: Path, tmp_path: Path) -> None:
    """What facenet's choice gives for a batch of real faces: triplets of two people each, all breaking the margin."""
    people = find_people(real_people(shared, tmp_path / "people", people=6), people_options("triplet").rules, seed=0)
    images = LabelledImages(people, 48)
    faces = (images.crops.astype(np.float32) - 127.5) / 128

    def embed(x: np.ndarray) -> np.ndarray:
        flat = x.reshape(len(x), -1)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    chosen = choose_triplets(embed, faces, people.labels, margin=0.2, seed=0, step=0)
    real = chosen["triplets"][chosen["weights"] > 0]
    assert len(real) > 10
    anchor, positive, negative = real.T
    assert (people.labels[anchor] == people.labels[positive]).all()
    assert (people.labels[anchor] != people.labels[negative]).all()
    vectors = embed(faces)
    near, far = (((vectors[anchor] - vectors[other]) ** 2).sum(axis=1) for other in (positive, negative))
    assert (far - near < 0.2 + 1e-5).all()
    part = people.some(np.arange(len(people)) % 6 == 0)
    measured = measure_people(images, LabelledImages(part, 48), inner=48, size=48)(embed)
    assert 0 <= measured["nearest"] <= 1
    assert measured["held_out"] == 1  # each is its own nearest


def test_augmentation_is_part_of_a_run(shard: Path, tmp_path: Path) -> None:
    """Two seeds see other images; the same seed sees the same ones."""
    faces = distill_module.split([open_shard(shard)], seed=0, teachers=["colours"])[0]
    targets = distill_module.fit_targets(faces, "colours", 16)
    made = [
        distill_module.DistillationBatches(
            faces=faces, targets=targets, batch=4, size=48, inner=48, how=Augmentation(), seed=seed
        )(2)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(made[0][0], made[1][0])
    assert not np.array_equal(made[0][0], made[2][0])
    np.testing.assert_allclose(np.linalg.norm(made[0][1]["vectors"], axis=1), 1, atol=1e-5)
