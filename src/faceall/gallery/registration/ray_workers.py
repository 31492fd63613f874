"""Workers on a Ray cluster: many machines that have the photos under the same paths."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from faceall.errors import FaceallError, MissingDependencyError, WorkerLostError
from faceall.gallery.naming import Candidate
from faceall.gallery.registration.worker_task import Answer, Make, WorkerSetup, analyse_files
from faceall.gallery.registration.workers import Team, TeamWorkers


def ray_workers(address: str | None = None, *, make: Make | None = None) -> TeamWorkers:
    """Make a worker for every free processor core of a Ray cluster.

    If Ray is connected already, that connection is used.

    Parameters
    ----------
    address : str, optional
        Of the cluster; by default RAY_ADDRESS, else the cluster that `ray start` began on this machine, else a new one
        on this machine alone for the duration of the registration.
    make : callable, optional
        Makes the detector and the embedder in a worker instead of the defaults; it is pickled.

    Raises
    ------
    MissingDependencyError
        The package ray is not installed.
    """
    _import_ray()

    @contextmanager
    def assemble(setup: WorkerSetup) -> Iterator[Team]:
        with _connected(address) as ray:
            team = _Actors(ray, setup)
            try:
                yield team
            finally:
                team.close()

    return TeamWorkers(assemble, make)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends no usage statistics
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "workers on Ray need the package ray; install it with: pip install 'faceall[ray]'"
        ) from error
    return ray


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises nothing more specific when its processes start too slowly
        where = address or os.environ.get("RAY_ADDRESS") or "this machine"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FaceallError(f"no Ray cluster at {where} ({reason}); start one with: ray start --head") from error
    try:
        yield ray
    finally:
        ray.shutdown()


class _Actors:
    """One actor per worker, spread over the cores of the cluster."""

    elsewhere = True

    def __init__(self, ray: Any, setup: WorkerSetup) -> None:
        self._ray, self._setup = ray, setup
        self.size = max(1, int(ray.available_resources().get("CPU", 1)))
        self._remote = ray.remote(num_cpus=1)(_Actor)
        self._actors = [self._remote.remote() for _ in range(self.size)]
        self._slots: Counter[str] = Counter()
        for actor in self._actors:
            self._settle(actor)

    def submit(self, worker: int, candidates: Sequence[Candidate]) -> Any:
        return self._actors[worker].analyse_files.remote(self._setup, candidates)

    def wait(self, tickets: Collection[Any]) -> Collection[Any]:
        ready, _ = self._ray.wait(list(tickets), num_returns=1)
        return list(ready)

    def answer(self, ticket: Any) -> Answer:
        try:
            answer: Answer = self._ray.get(ticket)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError) as error:
            raise WorkerLostError from error
        return answer

    def restart(self, worker: int) -> None:
        self._ray.kill(self._actors[worker])
        self._actors[worker] = self._remote.remote()
        self._settle(self._actors[worker])

    def close(self) -> None:
        """End all actors."""
        for actor in self._actors:
            self._ray.kill(actor)

    def _settle(self, actor: Any) -> None:
        """Give an actor a core of its machine; if it dies meanwhile, its first task reports that."""
        try:
            node = self._ray.get(actor.node.remote())
        except self._ray.exceptions.RayActorError:
            return
        actor.keep_to.remote(self._slots[node])
        self._slots[node] += 1


class _Actor:
    """A worker's process."""

    def node(self) -> str:
        """Return the machine of the cluster that it runs on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def keep_to(self, slot: int) -> None:
        """Use one core: an engine starts a thread per core it may use, and those of all actors would compete."""
        if hasattr(os, "sched_getaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[slot % len(cores)]})

    def analyse_files(self, setup: WorkerSetup, candidates: Sequence[Candidate]) -> Answer:
        """Analyse photos."""
        return analyse_files(setup, candidates)
