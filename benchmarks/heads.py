"""What each head is worth: the small model retrained without it, and with its twin in the prompt taken away.

python benchmarks/heads.py --workspace DIR [--only NAME ...] [--rows 600] [--set KEY=VALUE ...]

DIR holds data and cards (data_prepare.py --workspace DIR). Each variant trains from scratch in DIR/heads/NAME, one
after another (about ten minutes each on two cores), and is skipped where its metrics are there already. Prints a table
and writes DIR/heads/heads.json. `recovered` is the share of register_accuracy that a head alone brings back, between
the variant without persona and context at all and the whole model.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path

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
COLUMNS = ("bleu4", "set_score", "card_coverage", "register_accuracy", "register", "distinct3", "style_accuracy")


def run(*line: str | Path) -> None:
    subprocess.run([sys.executable, *map(str, line)], cwd=ROOT, check=True)


def scores_of(name: str, folder: Path, workspace: Path, rows: int, more: list[str]) -> dict[str, float]:
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
        run("train/evaluate.py", "--checkpoint", best, "--output", made, *common)
    return json.loads(metrics.read_text(encoding="utf-8"))


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
    recovered = {}
    if {"whole", "neither"} <= found.keys():
        top, floor = (found[name]["register_accuracy"] for name in ("whole", "neither"))
        recovered = {name: (s["register_accuracy"] - floor) / (top - floor) for name, s in found.items()}
        print("recovered: " + ", ".join(f"{name} {share:.2f}" for name, share in recovered.items()))
    kept = {name: {key: scores[key] for key in COLUMNS} for name, scores in found.items()}
    table = {"machine": machine, "rows": args.rows, "variants": kept, "recovered": recovered}
    (folder / "heads.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
