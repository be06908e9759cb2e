"""Row counts: written and read back, summed, and compared in pairs over people."""

import numpy as np
import pytest

from aac.io import UserError
from train.scoring.registry import column
from train.scoring.table import Table


def table(values: list[float], people: list[str] | None = None, **more: np.ndarray) -> Table:
    people = people or [str(n % 5) for n in range(len(values))]
    return Table([str(n) for n in range(len(values))], people, {"voice": column(values), **more})


def test_a_number_that_nobody_declared_is_an_error() -> None:
    for make in (lambda: table([1.0], politeness=column([1.0])), lambda: table([1.0]).joined({"bleu5": column([1.0])})):
        with pytest.raises(LookupError, match=r"declare it in train/scoring/registry\.py"):
            make()
    assert table([1.0]).joined({"interest": column([0.5])}).values() == {"voice": 1.0, "interest": 0.5}


def test_a_gap_over_few_contexts_is_wide() -> None:
    """Six contexts, told always and never: Newcombe's interval of 6/6 less 0/6, though every person says 1."""
    share = np.full(6, 1 / 1.0)
    told, never = (
        table([1.0] * 6, context_relevance=np.stack([np.full(6, value), np.ones(6), share], axis=1))
        for value in (1.0, 0.0)
    )
    gap = told.minus(never)["context_relevance"]
    low = 6 / (6 + 1.96**2)  # Wilson's lower bound of six in six
    assert gap.gap == 1 and gap.low == pytest.approx(1 - np.hypot(1 - low, 1 - low)) and gap.high == 1
    assert told.minus(never)["voice"][2:] == (0, 0, 0)
    # An earlier file counted no contexts, and had many.
    bare = [Table(t.ids, t.people, {"context_relevance": t.counts["context_relevance"][:, :2]}) for t in (told, never)]
    assert bare[0].minus(bare[1])["context_relevance"][2:] == (1, 1, 1)


def test_values_by_hand() -> None:
    recalls = np.array([[2, 1, 0, 1, 1, 0], [0, 3, 0, 0, 0, 0]])  # wanted then met, of three levels
    got = table([1.0, float("nan")], register_macro=recalls, interest=column([float("nan")] * 2)).values()
    assert got == {"voice": 1.0, "register_macro": pytest.approx((1 / 2 + 1 / 4) / 2)}
    assert table([1.0, float("nan")]).row(1) == {}


def test_pairing_is_what_narrows_a_difference() -> None:
    """People differ a lot, the systems by 0.1 for each of them: paired, the gap is certain; unpaired, it is not."""
    levels = np.repeat(np.linspace(0.1, 0.9, 5), 8)
    people = [str(n // 8) for n in range(40)]
    good, weak = table(list(levels), people), table(list(levels - 0.1), people)
    gap = good.minus(weak)["voice"]
    assert gap.gap == pytest.approx(0.1)
    assert gap.low == pytest.approx(0.1) and gap.high == pytest.approx(0.1)
    low, high = good.intervals()["voice"]
    assert high - low > 0.2
    assert weak.minus(good)["voice"].gap == pytest.approx(-0.1)
    assert good.minus(good)["voice"][2:] == (0, 0, 0)


def test_a_gap_of_one_person_is_not_certain() -> None:
    people = [str(n // 8) for n in range(40)]
    gap = table([1.0] * 8 + [0.5] * 32, people).minus(table([0.0] * 8 + [0.5] * 32, people))["voice"]
    assert gap.gap == pytest.approx(0.2)
    assert gap.low == 0
    alone = table([1.0] * 8, ["7"] * 8).minus(table([0.0] * 8, ["7"] * 8))["voice"]
    assert alone.gap == 1 and np.isnan(alone.low) and np.isnan(alone.high)


def test_other_rows_are_not_compared() -> None:
    with pytest.raises(UserError, match="same rows"):
        table([1.0, 0.0]).minus(table([1.0]))
    both = table([1.0, 0.0, 1.0])
    assert both.only({"2", "0"}).minus(table([0.5, 9, 0.5]).only({"0", "2"}))["voice"].gap == pytest.approx(0.5)


def test_files_keep_every_count(tmp_path) -> None:
    wrote = table([1.0, float("nan"), 1 / 3], bleu4=np.arange(30).reshape(3, 10))
    wrote.write(tmp_path / "rows.jsonl")
    read = Table.read(tmp_path / "rows.jsonl")
    assert (read.ids, read.people) == (wrote.ids, wrote.people)
    assert read.values() == pytest.approx(wrote.values(), abs=1e-6)
    with pytest.raises(UserError, match=r"none\.jsonl: not found"):
        Table.read(tmp_path / "none.jsonl")
    for text in ("", "{}\n", '{"row": "1", "person": "a", "counts": {"voice": "?"}}\n', "no json"):
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(UserError, match="run the evaluation again"):
            Table.read(tmp_path / "bad.jsonl")
