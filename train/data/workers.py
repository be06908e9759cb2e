"""Batches made ahead: by forked processes, or, where there are none to be had, by the process that trains."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from train.data.dataset import AACDataset, Collator
from train.models.batch import Batch

log = logging.getLogger("aac")
PATIENCE = 60  # seconds without a batch (one takes milliseconds) after which the workers are given up
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Loader:
    """Rows of a data set by their indices, collated: the same whether `workers` processes do it or none.

    Workers are forked: they inherit the encoded texts, and need nothing that pickles. Where they cannot be started
    (a platform without fork, no room for their queues), or one is lost or silent, the training process goes on alone.
    """

    def __init__(self, dataset: AACDataset, collator: Collator, workers: int = 0) -> None:
        self.dataset, self.collator, self.workers = dataset, collator, workers
        if workers and "fork" not in multiprocessing.get_all_start_methods():
            self._give_up("this platform cannot fork a process")

    def __call__(self, batches: Sequence[list[int]]) -> Iterator[tuple[list[Batch], int]]:
        """The collator's result for each batch of indices, in their order."""
        done = 0
        if self.workers:
            try:
                for result in self._ahead(batches):
                    done += 1
                    yield result
            except (OSError, RuntimeError) as error:  # what the rows themselves are guilty of is raised again below
                self._give_up(str(error).splitlines()[0] if str(error) else type(error).__name__)
        for batch in batches[done:]:
            yield self.collator([self.dataset[i] for i in batch])

    def _give_up(self, reason: str) -> None:
        log.warning(
            "num_workers %d: %s; the training process encodes the rows itself. Set num_workers to 0, or give the "
            "container more shared memory (docker run --shm-size) and processes",
            *(self.workers, reason),
        )
        self.workers = 0

    def _ahead(self, batches: Sequence[list[int]]) -> Iterator[tuple[list[Batch], int]]:
        # More locks than its queues need: where /dev/shm has no room for them, the loader would say so less plainly.
        _ = [multiprocessing.get_context("fork").Lock() for _ in range(8 * (self.workers + 2))]
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else tokenizers warns in every fork
        loader = torch.utils.data.DataLoader(
            self.dataset,
            batch_sampler=batches,
            collate_fn=self.collator,
            num_workers=self.workers,
            multiprocessing_context="fork",
            timeout=PATIENCE,
            worker_init_fn=_leave_the_group,
            generator=torch.Generator().manual_seed(0),  # the global one stays: a resumed run must not drift
        )
        others = set(multiprocessing.active_children())
        try:
            with _birth():
                results = iter(loader)
            yield from results
        except (OSError, RuntimeError):
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # else the run would wait at its end for one that hangs
            raise


@contextmanager
def _birth() -> Iterator[None]:
    """Workers are born with signals blocked, until they have left the group."""
    mask, on_death = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS), signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            # PyTorch's handler raises when a worker dies, wherever the run is just then: in the middle of an update.
            signal.signal(signal.SIGCHLD, on_death or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _leave_the_group(_: int) -> None:
    """A signal to the process group is for the run to answer, which needs its workers until it has saved. Should it die
    without a word, they notice and end."""
    os.setpgid(0, 0)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # drops what is pending
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
