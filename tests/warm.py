"""What a fork server loads once, so that its children start the eight steps at once: libraries and Kiwi's model."""

import sklearn.cluster
import sklearn.decomposition
import sklearn.manifold  # noqa: F401

from aac.korean import join, kiwi

kiwi()
join([("가", "VV"), ("어", "EF")])
