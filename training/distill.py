"""Teach the student from views: constant rate until stopped, or a decay to zero from a checkpoint.

    python distill.py RUN VIEWS projection.npy --start start.npz                  # stop with Ctrl-C, continue any time
    python distill.py END VIEWS projection.npy --start RUN/last.pt --decay 900    # 900 steps, then finished
    python distill.py END VIEWS projection.npy --start RUN/last.pt --minutes 60   # as many steps as an hour allows

Two workers of one thread each compute half a batch; that was 1.5 to 10 times as fast as one process with two threads,
most of all beside other work.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path

import checkpoints
import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from figures import measure
from muon import Muon
from student import Operations, Student, as_input, recalibrate
from torch.nn import functional
from views import Views


class Trainer:
    """One worker's part of a run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.rank = options, dist.get_rank()
        last = options.run / "last.pt"
        self.state = checkpoints.load(last if last.exists() else options.start)
        self.first_step, self.begun = checkpoints.load(options.start).step, time.monotonic()
        self.student = Student(operations=operations(options)).to(memory_format=torch.channels_last)
        self.student.load_state_dict(self.state.weights)
        kernels = [p for p in self.student.parameters() if p.ndim == 4 and p.shape[1] != 3]
        others = [p for p in self.student.parameters() if p.ndim != 4 or p.shape[1] == 3]
        self.muon = Muon(kernels)
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), fused=True)
        if self.state.optimiser:
            self.adam.load_state_dict(self.state.optimiser)
            self.muon.state[:] = self.state.momentum
        random = np.random.default_rng([self.rank, self.state.step])
        projection = np.load(options.projection)
        self.views = Views(options.views, projection, random, mild=options.mild, near=options.near)
        self.steps_here, self.left = 0, 1.0

    def measure_left(self) -> None:
        """Set the part of a decay that is still ahead, equal on all workers; 1 in a run at the constant rate."""
        if self.options.minutes:
            done = (time.monotonic() - self.begun) / (60 * self.options.minutes)
        else:
            done = (self.state.step - self.first_step) / self.options.decay if self.options.decay else 0.0
        left = torch.tensor([max(0.0, 1 - done)])
        dist.broadcast(left, 0)
        self.left = float(left)
        self.views.mild_share = min(1.0, 0.5 + (1 - self.left) / 1.2)  # all views, from 60 % of a decay on

    def share_of_rate(self) -> float:
        """Return the part of the learning rate of this step."""
        return min(1.0, (self.steps_here + 1) / 30) * self.options.share * self.left

    def step(self) -> tuple[float, float]:
        """Take one step; return the mean cosine to the teacher and the relations' loss."""
        self.measure_left()
        images, targets = self.views.batch(self.options.batch // dist.get_world_size())
        self.student.train()
        with torch.autocast("cpu", torch.bfloat16):
            vectors = self.student(images)
        vectors = functional.normalize(vectors.float())
        cosine = (vectors * targets).sum(1).mean()
        relations = (vectors @ self._all(vectors).T - targets @ self._all(targets).T).square().mean()
        self.student.zero_grad()
        (1 - cosine + self.options.relations * relations).backward()
        self._average_gradients()
        share = self.share_of_rate()
        for group in self.adam.param_groups:
            group["lr"] = self.options.adam_rate * share
        self.adam.step()
        self.muon.step(self.options.rate * share)
        self._average_weights()
        self.state.step += 1
        self.steps_here += 1
        self.state.images += self.options.batch
        return float(cosine), float(relations)

    def _all(self, rows: torch.Tensor) -> torch.Tensor:
        """Collect the rows of all workers; gradients only flow through this worker's."""
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.detach())
        parts[self.rank] = rows
        return torch.cat(parts)

    def _average_gradients(self) -> None:
        parameters = list(self.student.parameters())
        flat = torch.cat([p.grad.reshape(-1) for p in parameters])
        dist.all_reduce(flat)
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad.copy_(part.view(p.shape) / dist.get_world_size())

    @torch.no_grad()
    def _average_weights(self) -> None:
        longest = 0.98 if self.options.decay or self.options.minutes else 0.995
        keep = min(longest, (1 + self.steps_here) / (10 + self.steps_here))
        for name, value in self.student.state_dict().items():
            if value.is_floating_point():
                self.state.averages[name].lerp_(value, 1 - keep)

    def save(self) -> None:
        """Write last.pt."""
        self.state.weights = self.student.state_dict()
        self.state.optimiser, self.state.momentum = self.adam.state_dict(), self.muon.state
        checkpoints.save(self.state, self.options.run / "last.pt")

    def figures(self) -> dict[str, float]:
        """Measure the averaged weights on held-out people."""
        student = Student().to(memory_format=torch.channels_last)
        student.load_state_dict(self.state.averages)
        recalibrate(student, (self.views.random_batch(128) for _ in range(8)))
        with np.load(self.options.held_out) as held:
            targets = functional.normalize(torch.from_numpy(held["vectors"] @ self.views.projection))
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                parts = [student(as_input(held["views"][i : i + 128])).float() for i in range(0, len(targets), 128)]
            vectors = functional.normalize(torch.cat(parts))
            cosine = round(float((vectors * targets).sum(1).mean()), 4)
            return {"cosine": cosine, **measure(vectors.numpy(), held["sets"], held["people"])}


def operations(options: argparse.Namespace) -> Operations | None:
    """Return compiled operations if asked for; only then is a compiler needed."""
    if not options.fused:
        return None
    from fused import FusedOperations

    return FusedOperations()


def work(rank: int, options: argparse.Namespace) -> None:
    """Run one worker."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(options.port)}
    dist.init_process_group("gloo", rank=rank, world_size=options.workers)
    torch.set_num_threads(1)
    stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(True))
    trainer, begun = Trainer(options), time.monotonic()
    saved = measured = begun
    before = trainer.state.hours
    while trainer.left > 0:
        cosine, relations = trainer.step()
        now = time.monotonic()
        trainer.state.hours = before + (now - begun) / 3600
        if rank == 0 and trainer.state.step % 50 == 0:
            print(f"step {trainer.state.step}: cosine {cosine:.4f}, relations {relations:.5f}", flush=True)
        if rank == 0 and now - saved > options.save_every:
            saved = now
            trainer.save()
        if rank == 0 and now - measured > options.measure_every:
            measured = now
            note(trainer)
        if is_stopped(stopped, trainer.state.step):
            break
    if rank == 0:
        note(trainer)
        trainer.save()
    dist.barrier()


def is_stopped(stopped: list[bool], step: int) -> bool:
    """Ask every fifth step whether a worker was told to stop."""
    if step % 5:
        return False
    told = torch.tensor([float(bool(stopped))])
    dist.all_reduce(told)
    return told.item() > 0


def note(trainer: Trainer) -> None:
    """Append the figures to results.jsonl."""
    state = trainer.state
    share = round(trainer.options.share * trainer.left, 4)
    row = {
        "step": state.step,
        "images": state.images,
        "hours": round(state.hours, 3),
        "share": share,
        **trainer.figures(),
    }
    print(row, flush=True)
    with (trainer.options.run / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    """Start the workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("views", type=Path)
    parser.add_argument("projection", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="a checkpoint; last.pt of RUN is preferred")
    parser.add_argument("--held-out", type=Path, default=Path("held-out.npz"), help="as prepare.py writes it")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--decay", type=int, default=0, help="steps in which the rate falls to zero")
    end.add_argument("--minutes", type=float, default=0, help="minutes in which the rate falls to zero")
    parser.add_argument("--share", type=float, default=1.0, help="part of the rates at the beginning")
    parser.add_argument("--mild", type=Path, help="views with little change, half of them at first and all at the end")
    parser.add_argument("--near", type=float, default=0.0, help="share of groups of views that resemble each other")
    parser.add_argument("--relations", type=float, default=4.0, help="weight of a batch's relations beside the cosine")
    parser.add_argument("--fused", action="store_true", help="compiled operations, 1.2 times as fast; needs ninja")
    parser.add_argument("--rate", type=float, default=0.01, help="relative change of a kernel per step")
    parser.add_argument("--adam-rate", type=float, default=1e-3, help="rate of all other weights")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save-every", type=float, default=150)
    parser.add_argument("--measure-every", type=float, default=600)
    parser.add_argument("--port", type=int, default=29511)
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.multiprocessing.spawn(work, (options,), options.workers)


if __name__ == "__main__":
    main()
