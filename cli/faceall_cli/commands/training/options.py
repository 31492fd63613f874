"""The options of nets, augmentation and training loops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

_NET_OPTIONS = (
    click.option(
        "--architecture",
        type=click.Choice(["inception_resnet_v1", "mobile_facenet"]),
        default="inception_resnet_v1",
        show_default=True,
        help="Architecture of the net.",
    ),
    click.option(
        "--width",
        type=float,
        default=0.34,
        show_default=True,
        help="Number of channels, relative to the published net.",
    ),
    click.option(
        "--multiple",
        type=click.IntRange(1),
        default=8,
        show_default=True,
        help="Round numbers of channels to a multiple of this.",
    ),
    click.option(
        "--embedding-size", type=click.IntRange(1), default=128, show_default=True, help="Dimensions of a vector."
    ),
    click.option(
        "--image-size", type=click.IntRange(32), default=112, show_default=True, help="Side of its images in pixels."
    ),
    click.option("--batch", type=click.IntRange(2), default=64, show_default=True, help="Faces per batch."),
    click.option(
        "--learning-rate", "rate", type=float, default=1e-3, show_default=True, help="Highest learning rate of AdamW."
    ),
    click.option(
        "--schedule",
        type=click.Choice(["constant", "cosine", "steps"]),
        default="constant",
        show_default=True,
        help="How the learning rate changes; end a constant one with --decay or, later, `faceall train finish`.",
    ),
    click.option("--steps", "length", type=click.IntRange(1), help="Number of steps. Default: until it is stopped."),
    click.option(
        "--warm-up",
        type=click.IntRange(0),
        default=200,
        show_default=True,
        help="First steps, in which the rate rises.",
    ),
    click.option("--decay", type=click.IntRange(0), default=0, help="Last steps, in which the rate falls to zero."),
    click.option(
        "--milestone",
        "milestones",
        type=int,
        multiple=True,
        help="Step at which `steps` divides the rate by ten; repeatable.",
    ),
    click.option("--weight-decay", type=float, default=0.05, show_default=True, help="Weight decay of AdamW."),
    click.option(
        "--momentum",
        type=float,
        default=0.99,
        show_default=True,
        help="Momentum of the normalisation statistics; less for short runs.",
    ),
    click.option(
        "--dtype",
        "policy",
        type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
        default="float32",
        show_default=True,
        help="Data type of the computation; 16 bits are faster only on processors that support them.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything random."),
)

_CHANGES = tuple(
    click.option(f"--{name}", type=float, help=f"{text} Default: {default}.")
    for name, text, default in (
        ("rotation", "Largest rotation, in degrees.", "8"),
        ("scale-change", "Largest relative change of size.", "0.08"),
        ("shift", "Largest shift, relative to the side.", "0.04"),
        ("flip", "Probability of a mirror image.", "0.5"),
        ("light", "Largest relative change of light and contrast.", "0.25"),
        ("colour", "Largest relative change of colours.", "0.08"),
        ("gray", "Probability of grayscale.", "0.08"),
        ("blur", "Probability of blur.", "0.1"),
        ("jpeg", "Probability of JPEG compression.", "0.1"),
    )
)

_LOOP_OPTIONS = (
    click.option("--threads", type=click.IntRange(1), help="Threads of the backend. Default: its own choice."),
    click.option(
        "--measure-every", type=click.IntRange(1), default=200, show_default=True, help="Steps between measurements."
    ),
    click.option("--save-every", type=float, default=180, show_default=True, help="Seconds between checkpoints."),
    click.option("--tensorboard", is_flag=True, help="Write events for TensorBoard into RUN/events."),
)


def _decorated(options: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Combine options into one decorator."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def loop_options(command: Any) -> Any:
    """Add the options of the loop; the command gets them as `loop`."""

    @functools.wraps(command)
    def collected(*args: Any, **values: Any) -> Any:
        from faceall.train import Loop, limit_threads

        threads, tensorboard = values.pop("threads"), values.pop("tensorboard")
        loop = Loop(
            measure_every=values.pop("measure_every"),
            checkpoint_every=values.pop("save_every"),
            tensorboard=tensorboard,
            progress=not values["quiet"],
        )
        if threads:
            limit_threads(threads)
        return command(*args, loop=loop, **values)

    return _decorated(_LOOP_OPTIONS)(collected)


def net_options(command: Any) -> Any:
    """Add the options of net, optimiser and augmentation; the command gets them as `how`."""
    names = [option.name for option in _params(_NET_OPTIONS)]
    changes = [option.name for option in _params(_CHANGES)]

    @functools.wraps(command)
    def collected(*args: Any, **values: Any) -> Any:
        from faceall.train import Augmentation

        how = {name: values.pop(name) for name in names}
        given = {name.removesuffix("_change"): values.pop(name) for name in changes}
        how["augmentation"] = Augmentation(**{name: value for name, value in given.items() if value is not None})
        return command(*args, how=how, **values)

    return _decorated((*_NET_OPTIONS, *_CHANGES))(collected)


def _params(options: tuple[Any, ...]) -> list[click.Parameter]:
    """Return the parameters that options define."""
    command = _decorated(options)(lambda: None)
    return list(click.command()(command).params)
