"""What a fork server loads once, so that its children start the eight steps at once: libraries, Kiwi, the probe."""

import sklearn.cluster
import sklearn.decomposition
import sklearn.manifold  # noqa: F401

from dataset.prepare.probe import says

says("grammar")
