"""Make dataset/ in eight steps: cards, embeddings, clusters, rows, tags, preferences, combinations, interpretations.

python data_prepare.py --steps 1 2 3 4 5 6 7 8
python data_prepare.py --steps 8 --overwrite
python data_prepare.py --steps 8 --teacher openai --dry-run
python data_prepare.py --board my_board.obz
python data_prepare.py --append
python data_prepare.py --check
python data_prepare.py --forget 7
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from aac.io import UserError, escape_unprintable  # noqa: E402
from dataset.prepare.options import Options  # noqa: E402
from dataset.prepare.teachers.registry import TEACHERS  # noqa: E402

if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")  # a log file wants no line a step
SAMPLES = 200


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_argument(
        "--steps", nargs="+", type=int, choices=range(1, 9), metavar="N", default=list(range(1, 9)), help="1 to 8"
    )
    steps.help = "1 cards, 2 embeddings, 3 clusters, 4 rows, 5 tags, 6 preferences, 7 combinations, 8 interpretations"
    parser.add_argument("--overwrite", action="store_true", help="run the steps even where nothing changed")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, read and write; change nothing")
    parser.add_argument(
        "--append", action="store_true", help="add new pictures to a finished data set; nothing that exists changes"
    )
    parser.add_argument("--workspace", type=Path, default=ROOT, metavar="DIR", help="root of the default folders")
    parser.add_argument("--images", type=Path, metavar="DIR", help="cards, <id>_<keyword>.png (default dataset/images)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="what is made (default dataset/processed)")
    parser.add_argument("--personas", type=Path, metavar="FILE", help="default: dataset/persona.json")
    parser.add_argument(
        "--board", type=Path, metavar="FILE", help="first put the cards of an .obf or .obz into the images"
    )
    parser.add_argument("--labels", type=Path, metavar="CSV", help="keywords of cards whose file names hold none")
    parser.add_argument(
        *("--samples-per-persona",), type=int, metavar="N", help=f"default: {SAMPLES}; --append: as many more"
    )
    parser.add_argument("--clusters", type=int, default=64, metavar="K", help="at most (default: %(default)s)")
    parser.add_argument("--encoder", choices=("offline", "clip"), default="offline", help="default: %(default)s")
    parser.add_argument("--clip-image", metavar="NAME", help="--encoder clip: picture tower, a folder or a hub name")
    parser.add_argument("--clip-text", metavar="NAME", help="--encoder clip: its multilingual text tower")
    parser.add_argument(
        "--full-embeddings",
        action="store_true",
        help="step 2: every number in embeddings.json too, as the public format",
    )
    parser.add_argument("--teacher", choices=TEACHERS, default="grammar", help="default: %(default)s")
    parser.add_argument(
        *("--voice",), choices=("first", "third"), default="first", help="a remote teacher: I, or about the person"
    )
    parser.add_argument(
        "--send-personas",
        nargs="+",
        metavar="FIELD",
        help="fields of your own personas that a remote teacher may be told (default: none; of the shipped, synthetic "
        "ones what shapes a sentence)",
    )
    parser.add_argument("--forget", type=int, metavar="PERSONA_ID", help="remove a person from everything made so far")
    parser.add_argument("--seed", type=int, default=42, help="default: %(default)s")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="step 8: first row (default 0)")
    parser.add_argument("--limit", type=int, metavar="N", help="step 8: that many rows only")
    parser.add_argument(
        *("--check",), nargs="?", const="", metavar="FILE", help="is this data set fit to train on? changes nothing"
    )
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="--check: count tokens with this tokenizer.json")
    args = parser.parse_args(argv)
    if args.forget is not None and args.dry_run:
        parser.error("--forget has no --dry-run: it names each file that it changes")
    if args.board and args.dry_run:
        parser.error("--board has no --dry-run: what it reads is written to the images folder")
    if args.append and args.overwrite:
        parser.error("--append changes nothing that exists; --overwrite makes it anew: give one of them")
    for name, least in (("samples_per_persona", 1), ("clusters", 1), ("start", 0), ("limit", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
    return args


def check_data(args: argparse.Namespace) -> int:
    """`--check`: the given file, or the workspace's. The workspace's pictures belong to the workspace's file."""
    from dataset.prepare.check import check

    home = args.workspace.resolve() / "dataset"
    own = (args.output or home / "processed") / "dataset_completed.json"
    path = Path(args.check) if args.check else own
    beside = path.resolve().parent.parent / "images"
    images = args.images or (home / "images" if not args.check else beside if beside.is_dir() else None)
    if images is None:
        print(f"{path}: no images folder beside it: cards' pictures are not checked; give --images")
    return check(path, images, args.tokenizer)


def options_of(args: argparse.Namespace) -> Options:
    """What the command line settles.

    Raises:
        UserError: the remote teacher has no model or key, or flags contradict each other.
    """
    from dataset.prepare.privacy import check_listed

    home = args.workspace.resolve() / "dataset"
    personas = args.personas or (home / "persona.json" if (home / "persona.json").exists() else None)
    check_listed(args.send_personas or ())
    teacher = TEACHERS[args.teacher]
    if args.voice not in teacher.voices:
        able = ", ".join(name for name, other in TEACHERS.items() if args.voice in other.voices)
        raise UserError(f"--voice {args.voice}: --teacher {args.teacher} does not speak so; use one that does: {able}")
    remote = None
    if teacher.remote and 8 in args.steps and args.forget is None:
        remote = teacher.load().Settings.load(home.parent / ".env", args.voice, need_key=not args.dry_run)
    return Options(
        home=home,
        images=(args.images or home / "images").absolute(),  # a link that leads nowhere stays one, and is refused
        output=(args.output or home / "processed").resolve(),
        personas=(personas or ROOT / "dataset/persona.json").resolve(),
        samples_per_persona=args.samples_per_persona or SAMPLES,
        seed=args.seed,
        encoder=args.encoder,
        full_embeddings=args.full_embeddings,
        **{name: getattr(args, name) for name in ("clip_image", "clip_text") if getattr(args, name)},
        clusters=args.clusters,
        teacher=args.teacher,
        labels=args.labels and args.labels.resolve(),
        start=args.start,
        limit=args.limit,
        append=args.append,
        remote=remote,
        send_personas=None if args.send_personas is None else tuple(args.send_personas),
    )


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """SIGTERM stops as Ctrl-C does, and sets the event; who handled the two before handles them after."""
    terminated = threading.Event()

    def as_ctrl_c(*_: object) -> None:
        terminated.set()
        signal.raise_signal(signal.SIGINT)

    # A job that a script started in the background has Ctrl-C ignored, and would not stop for either signal.
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: as_ctrl_c}
    if threading.current_thread() is not threading.main_thread():
        handlers = {}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield terminated
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not Python's own


def work(args: argparse.Namespace) -> int:
    """What the command line asks for; returns the exit code.

    Raises:
        UserError, OSError: as of the steps.
    """
    if args.check is not None:
        return check_data(args)
    from dataset.prepare.pipeline import alone, run_append, run_steps

    options = options_of(args)
    with alone(options, args.dry_run):
        if args.forget is not None:
            from dataset.prepare.forget import forget

            return forget(args.forget, options)
        if args.board:
            from dataset.prepare.board import import_board

            logging.getLogger("aac").info("%s: %s", args.board, import_board(args.board, options))
        if args.append:
            run_append(options, args.samples_per_persona, 8 in args.steps, args.dry_run)
        else:
            run_steps(sorted(set(args.steps)), options, args.overwrite, args.dry_run)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 the disk or the network failed, 2 a user's mistake, 130 Ctrl-C, 143 SIGTERM."""
    escape_unprintable()
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    with stoppable() as terminated:
        try:
            return work(args)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped; what is done stays done: run the same command again to go on", file=sys.stderr)
            return 143 if terminated.is_set() else 130


if __name__ == "__main__":
    sys.exit(main())
