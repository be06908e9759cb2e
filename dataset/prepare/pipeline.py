"""The eight steps in order: what each reads and writes, and whether it has to run again.

A step is skipped while the content of what it reads, its settings, what its code makes of them (`Step.version`) and
what it wrote are those of its last run. The record of runs is `.state.json` beside the outputs; a step is marked as
begun before it writes, so that a run killed at any moment is simply done again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aac.io import UserError, hold, read_json, write_json
from aac.lexicon import LEXICON_FILE
from dataset.prepare import append, cards, cluster, embed, personas, probe, sampling, teach
from dataset.prepare.cards import BANNED_FILE, pictures_in
from dataset.prepare.options import Options
from dataset.prepare.teachers.registry import TEACHERS

log = logging.getLogger("aac")
FIRST = "1"  # the version of every step while nobody moved it
CHANGED = {
    7: "which cards the teacher puts together changed",
    8: "what the teacher says changed",
}


@dataclass(frozen=True)
class Step:
    """One step. `reads` and `writes` name files of the output folder or hold paths; `settings` name options.

    `version` tells what the code makes of the same inputs: a number moved by hand, or a probe of the teacher.
    """

    number: int
    title: str
    run: Callable[[Options], str]
    reads: tuple[str | Path, ...]
    writes: tuple[str, ...]
    settings: tuple[str, ...] = ()
    version: Callable[[Options], str] = lambda options: FIRST


def _fetch_and_filter(options: Options) -> str:
    marker = options.images / ".drawing"
    if marker.exists() or not (cards.others_in(options.images) or pictures_in(options.images)):
        from dataset.prepare import symbols

        options.images.mkdir(parents=True, exist_ok=True)
        log.info("    %s is empty: fetching the open symbol set (OpenMoji, CC BY-SA 4.0)", options.images)
        cache = symbols.fetch(options.images.parent / ".cache")
        marker.touch()
        symbols.draw(cache, options.images)
        marker.unlink()
    return cards.filter_cards(options)


EMBEDDINGS = ("embeddings.json", "image_embeddings.npy", "text_embeddings.npy")
ENCODER = ("encoder", "clip_image", "clip_text")
CLUSTERS = ("clustering_results.json", "centroids.npy")
STEPS = (
    Step(
        *(1, "cards", _fetch_and_filter),
        reads=("images", "labels", BANNED_FILE),
        writes=("cards.json",),
        version=lambda options: "3",  # labels are read, drawings (SVG) seen, one picture may have two words
    ),
    Step(2, "embeddings", embed.embed_cards, ("cards.json", LEXICON_FILE), EMBEDDINGS, (*ENCODER, "full_embeddings")),
    Step(3, "clusters", cluster.cluster_cards, EMBEDDINGS, (*CLUSTERS, "cluster_map.png"), ("clusters", "seed")),
    Step(4, "rows", personas.write_schema, ("personas",), ("dataset.json",), ("samples_per_persona",)),
    Step(
        5,
        "cluster tags",
        cluster.tag_clusters,
        ("cards.json", *EMBEDDINGS, *CLUSTERS, LEXICON_FILE),
        ("cluster_tags.json",),
    ),
    Step(
        *(6, "preferences", personas.write_preferences),
        reads=("personas", "cluster_tags.json", LEXICON_FILE),
        writes=("enhanced_persona.json",),
        settings=ENCODER,
    ),
    Step(
        *(7, "card combinations", sampling.write_cards),
        reads=("dataset.json", "enhanced_persona.json", "cards.json", *CLUSTERS, LEXICON_FILE),
        writes=("dataset_with_cards.json", "coverage.json"),
        settings=("samples_per_persona", "seed", "teacher"),
        version=lambda options: probe.joins(options.teacher),
    ),
    Step(
        *(8, "interpretations", teach.write_interpretations),
        reads=("dataset_with_cards.json", "corrections", LEXICON_FILE),
        writes=("dataset_completed.json",),
        settings=("seed", "teacher", "start", "limit", "asked", "send_personas"),
        version=lambda options: probe.says(options.teacher),
    ),
)


@contextmanager
def alone(options: Options, looking: bool = False) -> Iterator[None]:
    """No other process writes to the output folder inside; `looking`: nothing is written, so anybody may.

    Raises:
        UserError: another one writes there now.
    """
    with ExitStack() as held:
        if not looking:
            with suppress(OSError):  # a disk that can only be read: the step that has to write says so
                options.output.mkdir(parents=True, exist_ok=True)
                file = held.enter_context(options.file(".lock").open("ab"))
                hold(file.fileno(), options.file(".lock"))
        yield


def run_steps(numbers: Sequence[int], options: Options, overwrite: bool = False, dry_run: bool = False) -> None:
    """Run the named steps in order, each only where something changed (or `overwrite`).

    Raises:
        UserError: an input is missing (the step that makes it is named), or a file that a step is about to write was
            edited by hand since.
    """
    state = _read_state(options)
    if "append" in state and not overwrite:
        path = options.file(".state.json")
        raise UserError(f"{path}: an --append run was not finished; run it again with --append, or --overwrite")
    if not dry_run:
        state.pop("append", None)
    renewed: set[str] = set()
    for step in [step for step in STEPS if step.number in numbers]:
        known = state.get(str(step.number), {})
        if dry_run:
            pending = renewed & {str(name) for name in step.reads}
            why = "its inputs would change" if pending else _why(step, options, known, overwrite)
            renewed |= set(step.writes) if why else set()
            reads = ", ".join(path.name for name in step.reads if (path := _path(name, options)))
            if why and not pending:
                try:
                    _inputs(step, options)
                except UserError as error:
                    why = f"but cannot: {error}"
            print(f"[{step.number}/8] {step.title}: {f'would run: {why}' if why else 'nothing to do'}")
            print(f"      reads {reads}\n      writes {', '.join(step.writes)}")
            if step.number == 8 and why:
                _print_cost(options, bool(pending))
            continue
        why = _why(step, options, known, overwrite)
        if not why:
            log.info("[%d/8] %s: unchanged, skipped", step.number, step.title)
            continue
        log.info("[%d/8] %s (%s)", step.number, step.title, why)
        _inputs(step, options)
        _protect_edits(step, options, known, overwrite)
        _run(step, options, state)


def _run(step: Step, options: Options, state: dict[str, Any]) -> None:
    """Run a step between two marks in the state."""
    options.output.mkdir(parents=True, exist_ok=True)
    state[str(step.number)] = {"begun": True}
    write_json(options.file(".state.json"), state)
    made = step.run(options)
    state[str(step.number)] = _record(step, options)
    write_json(options.file(".state.json"), state)
    log.info("      %s", made)


def _record(step: Step, options: Options) -> dict[str, Any]:
    """What a step was made from and made. The inputs are read afterwards: step 1 may have drawn the cards itself."""
    written = {name: _digest(options.file(name)) for name in step.writes}
    settings = {name: getattr(options, name) for name in step.settings}
    made = {"inputs": _inputs(step, options), "outputs": written, "settings": settings}
    return {**made, "version": step.version(options)}


def _read_state(options: Options) -> dict[str, Any]:
    """The record of runs. What the version before wrote of steps 7 and 8 is put into today's form while it holds."""
    path = options.file(".state.json")
    state = read_json(path) if path.exists() else {}
    for step, asked in ((STEPS[6], "joins"), (STEPS[7], "says")):
        known = state.get(str(step.number), {})
        if "inputs" not in known or "version" in known:
            continue
        settings = known["settings"]
        with suppress(UserError):  # an input is gone
            if known["inputs"] == _inputs(step, options, settings, probe.TEXT_BEFORE[step.number]):
                known["inputs"] = _inputs(step, options, settings)
                known["version"] = probe.BEFORE.get((asked, settings["teacher"]), "")
    return state


def run_append(options: Options, rows_each: int | None = None, answers: bool = True, dry_run: bool = False) -> None:
    """Add the new pictures of the images folder to a finished data set, by the settings that it was made with.

    A later plain run finds everything as it should be, unless something else had changed before.

    Args:
        rows_each: new rows for each persona; None: enough for the new cards.
        answers: run step 8 for the rows that have no output.

    Raises:
        UserError: the data set is not finished, or its cards changed.
    """
    state_file = options.file(".state.json")
    missing = [name for step in STEPS for name in step.writes if not options.file(name).exists()]
    if missing or not state_file.exists():
        name = options.file(next(iter(missing), ".state.json"))
        raise UserError(f"{name}: not found; --append needs a finished data set: run steps 1 to 8 first")
    state = _read_state(options)
    made_with = {k: v for step in STEPS[:7] for k, v in state.get(str(step.number), {}).get("settings", {}).items()}
    frozen = replace(options, **made_with)
    pictures = append.new_pictures(options)
    if dry_run:
        print(f"--append: {len(pictures)} new pictures{''.join(f' {name}' for name in pictures[:10])}")
        print("      would add cards, embeddings and rows for them, and answer the rows that have no output")
        return
    if "append" not in state:
        stale = [step.number for step in STEPS[1:7] if _why(step, frozen, state.get(str(step.number), {}), False)]
        state["append"] = {"stale": stale}
        write_json(state_file, state)
    for line in append.append_cards(frozen, rows_each):
        log.info("%s", line)
    for step in STEPS[:7]:
        record = _record(step, frozen)
        if step.number not in state["append"]["stale"]:
            state[str(step.number)] = record
        else:
            state[str(step.number)] = {**state.get(str(step.number), {}), "outputs": record["outputs"]}
            log.warning("[%d/8] %s: had changed before: a run without --append makes it anew", step.number, step.title)
    del state["append"]
    write_json(state_file, state)
    if answers:
        log.info("[8/8] interpretations of the rows that have none")
        said = state.get("8", {}).get("version")
        _run(STEPS[7], replace(options, seed=frozen.seed), state)
        if said:  # the older rows stay as that version said them
            state["8"]["version"] = said
            write_json(state_file, state)


@contextmanager
def keep_in_step(options: Options) -> Iterator[None]:
    """What changes inside is meant: steps that were up to date stay so, and nothing counts as edited by hand.

    The settings are those of each step's last run, whatever the command line says now.
    """
    state = _read_state(options)
    finished = [(step, state[str(step.number)]) for step in STEPS if "settings" in state.get(str(step.number), {})]
    current = [step.number for step, known in finished if _is_current(step, options, known)]
    unedited = {
        name
        for _, known in finished
        for name, digest in known["outputs"].items()
        if options.file(name).exists() and _digest(options.file(name)) == digest
    }
    yield
    for step, known in finished:
        if step.number in current:
            known["inputs"] = _inputs(step, options, known["settings"])
        known["outputs"] |= {name: _digest(options.file(name)) for name in step.writes if name in unedited}
    if finished:
        write_json(options.file(".state.json"), state)


def _is_current(step: Step, options: Options, known: dict[str, Any]) -> bool:
    try:
        return bool(_inputs(step, options, known["settings"]) == known["inputs"])
    except UserError:  # an input is gone
        return False


def _print_cost(options: Options, pending: bool) -> None:
    if pending or not options.file("dataset_with_cards.json").exists():
        if options.remote:
            print("      costs: known once step 7 has run")
        return
    for line in teach.estimate(options):
        print(f"      {line}")


def _why(step: Step, options: Options, known: dict[str, Any], overwrite: bool) -> str:
    """Why a step has to run; empty: it need not."""
    if overwrite:
        return "--overwrite"
    missing = [name for name in step.writes if not options.file(name).exists()]
    if missing:
        return f"{missing[0]} is not there"
    if "inputs" not in known:
        return "its last run was not finished" if known.get("begun") else "never run here"
    if known["inputs"] != _inputs(step, options):
        return "its inputs changed"
    if known.get("version", FIRST) == step.version(options):
        return ""
    if step.number == 8 and TEACHERS[options.teacher].remote:
        log.warning("[8/8] what the teacher is asked changed since; its answers stay: --overwrite asks (and pays) anew")
        return ""
    return CHANGED.get(step.number, "what its code makes of its inputs changed")


def _inputs(step: Step, options: Options, settings: dict[str, Any] | None = None, text: str = "") -> str:
    """A digest over what a step reads: file contents and settings (the options' own unless given).

    Args:
        text: what the version before took beside the lexicon (`probe.TEXT_BEFORE`).

    Raises:
        UserError: a file is not there.
    """
    made_by = {name: other for other in STEPS for name in other.writes}
    used = settings or {name: getattr(options, name) for name in step.settings}
    digest = hashlib.sha256(json.dumps(used).encode())
    for name in step.reads:
        path = _path(name, options)
        if path is None:
            continue
        if not path.exists() and name in made_by:
            number = made_by[str(name)].number
            raise UserError(f"{path}: not found; run `python data_prepare.py --steps {number}` first")
        if not path.exists() and name != "images":
            raise UserError(f"{path}: not found (--{name})")
        digest.update(f"{name if isinstance(name, str) else name.name}:{_digest(path)}\n".encode())
        if name == LEXICON_FILE:
            digest.update(text.encode())
    return digest.hexdigest()


def _path(name: str | Path, options: Options) -> Path | None:
    if isinstance(name, Path):
        return name
    if name == "corrections":  # most have none
        return options.corrections if options.corrections.exists() else None
    return getattr(options, name) if name in ("images", "personas", "labels") else options.file(name)


def _digest(path: Path) -> str:
    """Of a file, or of a folder of cards: pictures by name and content, other entries by name."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    lines = "".join(f"{f.name}:{_digest(f)}\n" for f in pictures_in(path)) + "".join(cards.others_in(path))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()  # a name may be no UTF-8


_LASTING = "; sentences that shall outlive every run belong into dataset/corrections.jsonl, by their row's key"


def _protect_edits(step: Step, options: Options, known: dict[str, Any], overwrite: bool) -> None:
    """A file that was edited since it was written is never lost: refused, or kept aside with `overwrite`."""
    for name, digest in known.get("outputs", {}).items():
        path = options.file(name)
        if not path.exists() or _digest(path) == digest:
            continue
        if not overwrite:
            raise UserError(
                f"{path}: changed since step {step.number} wrote it, and its inputs changed too; add --overwrite to "
                f"make it anew: the edited file is then kept beside the new one{_LASTING if step.number == 8 else ''}"
            )
        aside = path.with_name(f"{path.stem}.edited{path.suffix}")
        count = 1
        while aside.exists():
            count += 1
            aside = path.with_name(f"{path.stem}.edited{count}{path.suffix}")
        path.rename(aside)
        log.warning("      %s was edited by hand: kept as %s", name, aside.name)
