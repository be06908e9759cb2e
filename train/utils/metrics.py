"""The entry to what is scored: three candidates a row against references, cards, persona and context.

`measure` counts, `summary` says the scores with their 95 % intervals, a `Scorer` scores many systems on the same rows.
The substance is `train/scoring/`.
"""

from train.scoring.aac_metrics import Habits
from train.scoring.measure import Scorer, measure, summary
from train.scoring.row import Prediction
from train.scoring.similarity import LemmaTfidf, SentenceModel

__all__ = ["Habits", "LemmaTfidf", "Prediction", "Scorer", "SentenceModel", "measure", "summary"]
