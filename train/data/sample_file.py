"""Samples on disk: a run over a million rows holds eight bytes of each in memory."""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Sequence
from typing import Any

from aac.records import Sample


class SampleFile(Sequence[Sample]):
    """A list of samples that can be appended to and read, kept in a temporary file of this process and its forks.

    The file has no name and is gone with the process. It is a copy: whoever edits the data file during a run changes
    nothing of the run.
    """

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the samples are read
        self.ends = array("q", [0])

    def append(self, sample: Sample) -> None:
        self.file.seek(0, os.SEEK_END)
        self.ends.append(self.ends[-1] + self.file.write(pickle.dumps(sample, pickle.HIGHEST_PROTOCOL)))
        self.file.flush()  # a fork must not inherit half-written rows

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: Any) -> Any:
        """The sample of an index, also from the end; of a slice the list of its samples."""
        position = range(len(self))[index]
        if isinstance(position, range):
            return [self[i] for i in position]
        start, stop = self.ends[position], self.ends[position + 1]
        if hasattr(os, "pread"):  # not through the file's own position, which forked workers would move for each other
            return pickle.loads(os.pread(self.file.fileno(), stop - start, start))
        self.file.seek(start)
        return pickle.loads(self.file.read(stop - start))
