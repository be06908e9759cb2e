"""Serve a trained model on this machine: the routes of OpenAI's API that an AAC app calls, and the AAC API of our own.

python train/serve.py --checkpoint train/checkpoints/best_model.pt --port 8000
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from aac.io import UserError, escape_unprintable  # noqa: E402

KEY = "AAC_SERVER_KEY"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", metavar="PATH", help="default: best_model.pt of the workspace")
    parser.add_argument("--host", default="127.0.0.1", help=f"elsewhere than on loopback ${KEY} must be set")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--config", metavar="FILE", help="run-time settings: device, paths")
    parser.add_argument("--workspace", default=ROOT, type=Path, metavar="DIR", help="where dataset/ and train/ lie")
    parser.add_argument("--name", action="append", default=[], help="a host name that clients call the server by")
    parser.add_argument("--origin", action="append", default=[], help="another host's pages may ask: https://HOST")
    parser.add_argument("--line", type=int, default=64, metavar="N", help="requests that may wait; more get 429")
    parser.add_argument(
        "--temperature", type=float, default=0.0, metavar="T", help="the highest that a request may ask"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 stopped, 2 a user's mistake."""
    escape_unprintable()
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        from train.server.run import serve

        serve(args, os.environ.get(KEY, ""))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
