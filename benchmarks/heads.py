"""What each head is worth: the small model retrained without it, and with its twin in the prompt taken away.

python benchmarks/heads.py --workspace DIR [--only NAME ...] [--rows 600] [--set KEY=VALUE ...]

DIR holds data and cards (data_prepare.py --workspace DIR). Each variant trains from scratch in DIR/heads/NAME, one
after another (about ten minutes each on two cores), and is skipped where its metrics are there already. Prints a table
and writes DIR/heads/heads.json.

What persona or context is worth to a variant: its register_accuracy less that of the same model told nobody and nothing
(`no_persona`, `no_context`, both). Beside it the share of what text gives that the variant reaches: over the score of
`text_only` without being told, where the prompt's text is the only way. `heads_only` has neither text,
`persona_by_heads` and `context_by_heads` lack the one they are named after.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VARIANTS: dict[str, list[str]] = {
    "whole": [],
    "no_persona_embedding": ['parts_off=["persona_embedding"]'],
    "no_context_attention": ['parts_off=["context_attention"]'],
    "no_style_embedding": ['parts_off=["style_embedding"]'],
    "no_cluster_memory": ["cluster_weight=0.0"],
    "text_only": ['parts_off=["persona_embedding", "context_attention"]'],
    "heads_only": ['parts_off=["text_persona", "text_context"]'],
    "persona_by_heads": ['parts_off=["text_persona"]'],
    "context_by_heads": ['parts_off=["text_context"]'],
    "persona_by_embedding": ['parts_off=["text_persona", "text_context", "context_attention"]'],
    "context_by_attention": ['parts_off=["text_persona", "text_context", "persona_embedding"]'],
    "neither": ['parts_off=["text_persona", "text_context", "persona_embedding", "context_attention"]'],
}
TOLD_LESS = {"persona": "no_persona", "context": "no_context", "both": "no_persona_no_context"}
COLUMNS = ("bleu4", "set_score", "card_coverage", "register_accuracy", "register", "distinct3", "style_accuracy")


def run(*line: str | Path) -> None:
    subprocess.run([sys.executable, *map(str, line)], cwd=ROOT, check=True)


def scores_of(name: str, folder: Path, workspace: Path, rows: int, more: list[str]) -> dict[str, Any]:
    """Train and evaluate one variant, unless its scores are there."""
    made = folder / name
    metrics = made / "metrics.json"
    if not metrics.exists():
        places = [f"checkpoint_dir={made / 'checkpoints'}", f"log_dir={made / 'logs'}"]
        config = ROOT / "train/config/tiny.json"
        settings = [*places, *VARIANTS[name], *more]
        run("train/train.py", "--config", config, "--workspace", workspace, "--overwrite", "--set", *settings)
        best = made / "checkpoints/best_model.pt"
        common = ("--workspace", workspace, "--limit", str(rows), "--similarity-model", "lemma-tfidf")
        run("train/evaluate.py", "--checkpoint", best, "--output", made, *common, "--ablate", *TOLD_LESS.values())
    return json.loads(metrics.read_text(encoding="utf-8"))


def worth(scores: dict[str, Any]) -> dict[str, float]:
    """What being told the persona, the context, or both adds to register_accuracy."""
    told = scores["register_accuracy"]
    return {what: told - scores["ablations"][name]["register_accuracy"] for what, name in TOLD_LESS.items()}


def recovered(name: str, scores: dict[str, Any], text: dict[str, Any]) -> dict[str, float]:
    """The share of what text gives that a variant reaches, both over `text` told less.

    The persona embedding alone knows no context: its share is of what the persona's text gives without context.
    """
    told, reached = text["register_accuracy"], scores["register_accuracy"]
    less = {what: text["ablations"][ablation]["register_accuracy"] for what, ablation in TOLD_LESS.items()}
    if name == "persona_by_embedding":
        return {"persona": (reached - less["both"]) / (less["context"] - less["both"])}
    return {what: (reached - floor) / (told - floor) for what, floor in less.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of every training")
    args = parser.parse_args()
    workspace = args.workspace.resolve()
    folder = workspace / "heads"
    found = {name: scores_of(name, folder, workspace, args.rows, args.set) for name in args.only}
    machine = f"{platform.processor() or platform.machine()}, {platform.system()}"
    print(f"{machine}; {args.rows} rows of the test split\n{'':24}" + "".join(f"{key:>19}" for key in COLUMNS))
    for name, scores in found.items():
        print(f"{name:24}" + "".join(f"{scores[key]:>19.3f}" for key in COLUMNS))
    gains = {name: worth(scores) for name, scores in found.items()}
    text = found.get("text_only")
    reached = {name: recovered(name, scores, text) for name, scores in found.items()} if text else {}
    print("\nworth in register_accuracy (and the share reached of what text gives)")
    for name, gain in gains.items():
        shares = {what: f" ({share:.2f})" for what, share in reached.get(name, {}).items()}
        print(f"{name:24}" + "".join(f"  {what} {v:+.3f}{shares.get(what, '')}" for what, v in gain.items()))
    kept = {
        name: {key: scores[key] for key in COLUMNS} | {"worth": gains[name], "recovered": reached.get(name)}
        for name, scores in found.items()
    }
    table = {"machine": machine, "rows": args.rows, "variants": kept}
    (folder / "heads.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
