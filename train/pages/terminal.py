"""The scores of metrics.json in the terminal."""

from __future__ import annotations

from typing import Any

from train.pages import requests_table
from train.scoring.registry import Shown, shown_keys


def show(result: dict[str, Any]) -> None:
    """The suite of requests, then a short table: headline metrics, their intervals, baselines, inputs, ablations."""
    headline = shown_keys(result, Shown.HEADLINE)

    def line(name: str, values: dict[str, Any]) -> str:
        return f"{name:34}" + "".join(f"{values[key]:>18.3f}" if key in values else f"{'–':>18}" for key in headline)

    for text in requests_table.lines(result.get("requests", {})):
        print(text)
    print(f"{'':34}" + "".join(f"{name:>18}" for name in headline))
    print(line("all", result))
    if by := requests_table.written(result):
        print(f"{'written by':34}{by}")
    spans = result.get("intervals", {})
    if spans:
        cells = ("[{:.3f}, {:.3f}]".format(*spans[key]) if key in spans else "" for key in headline)
        print(f"{'95 % interval':34}" + "".join(f"{cell:>18}" for cell in cells))
    agreed = result["leave_one_out"]
    written = ", ".join(f"{writer} {count}" for writer, count in agreed["written_by"].items())
    print(f"leave one out: each reference against the others of its row (references written by: {written})")
    for who, lines in (("", agreed), (" by people", agreed.get("person"))):
        if lines:
            print(line(f"  references{who}", lines["references"]))
            print(line("  candidates in their place", lines["candidates"]))
    for kind in ("baselines", "inputs", "ablations"):
        if kind in result:
            print(kind)
        for name, values in result.get(kind, {}).items():
            print(line(f"  {name}", values))
    for name, values in result.get("ablations", {}).items():
        if span := values["gap_intervals"].get("register_accuracy"):
            gap = values["gaps"]["register_accuracy"]
            print(f"register_accuracy, all - {name}: {gap:+.3f} [{span[0]:+.3f}, {span[1]:+.3f}]")
    others = {key: value for key, value in result.items() if isinstance(value, int | float) and key not in headline}
    print(" · ".join(f"{key} {value:.5g}" for key, value in others.items()))
    print(*result["signatures"].values(), sep="\n")
