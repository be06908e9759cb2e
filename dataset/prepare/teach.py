"""Step 8: contexts and three interpretations for every row, from a teacher, with hand corrections on top."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from aac.io import UserError, read_json, write_json
from aac.records import Context, Persona, card_keyword
from aac.rules import CONTEXT_FIELDS
from dataset.prepare.append import finished_rows
from dataset.prepare.corrections import Correction, overlay, read_corrections
from dataset.prepare.options import Options
from dataset.prepare.privacy import is_shipped, may_leave
from dataset.prepare.teachers.registry import TEACHERS

if TYPE_CHECKING:
    from dataset.prepare.teachers.ask import Ask
    from dataset.prepare.teachers.remote import Answer, RemoteTeacher

log = logging.getLogger("aac")
REJECTED = "rejected_rows.json"


def write_interpretations(options: Options) -> str:
    """Write `dataset_completed.json`. Rows outside `--start`/`--limit` stay as they are, unprocessed.

    Rows whose answer a remote teacher could not give well stay unprocessed, too, and are listed in
    `rejected_rows.json` with their reasons.
    """
    rows = read_json(options.file("dataset_with_cards.json"))
    kept = finished_rows(options) if options.append else {}
    rows = [kept.get(row["id"], row) for row in rows]
    corrections = read_corrections(options.corrections)
    chosen = [row for row in _chosen(rows, options) if row["id"] not in kept]
    rejected = 0
    if TEACHERS[options.teacher].remote:
        rejected = _complete_remotely(rows, chosen, corrections, options)
    else:
        _complete_offline(chosen, options)
    corrected = overlay(_chosen(rows, options), corrections)
    write_json(options.file("dataset_completed.json"), rows, None)
    if corrections:
        idle = len(corrections.keys() - {row.get("key") for row in rows})
        log.info("      %d rows corrected by hand%s", corrected, f"; {idle} corrections match no row" if idle else "")
    done = sum(bool(row["output"]) for row in chosen)
    refused = f", {rejected} rejected" if rejected else ""
    return f"{done} rows with three sentences each ({options.teacher} teacher){refused} -> dataset_completed.json"


def _chosen(rows: list[dict[str, Any]], options: Options) -> list[dict[str, Any]]:
    return rows[options.start : None if options.limit is None else options.start + options.limit]


def _complete_offline(rows: Sequence[dict[str, Any]], options: Options) -> None:
    from tqdm import tqdm

    for row in tqdm(rows, desc="interpretations", unit="row", leave=False):
        complete(row, options.seed, options.teacher)


def complete(row: dict[str, Any], seed: int, teacher: str) -> None:
    """Fill in one row's context and outputs by a teacher on this machine; the draw is the row's own."""
    module = TEACHERS[teacher].load()
    draw = random.Random(f"{seed}|{row['key']}")
    source = row["input"]
    words = _words(row)
    persona = Persona.read(source["persona"])
    context: Context = module.sample_context(persona, words, draw)
    source["context"] = context.public()
    row["output"] = module.interpret(words, persona, context, draw)


def _words(row: dict[str, Any]) -> list[str]:
    return row.get("keywords") or [card_keyword(card) for card in row["input"]["AAC_card_combination"]]


def estimate(options: Options) -> list[str]:
    """What step 8 would send to a remote teacher, and where: nothing is sent. Offline: nothing to tell."""
    if options.remote is None:
        return []
    from dataset.prepare.journal import Journal

    rows = read_json(options.file("dataset_with_cards.json"))
    corrections = read_corrections(options.corrections)
    asks = [ask for _, ask in _asks(rows, _chosen(rows, options), corrections, options)]
    teacher = TEACHERS[options.teacher].load().Teacher(options.remote, Journal(options.journal))
    return _outlook(teacher, asks, rows, options)


def _complete_remotely(
    rows: Sequence[dict[str, Any]],
    chosen: Sequence[dict[str, Any]],
    corrections: dict[str, Correction],
    options: Options,
) -> int:
    """Answers into the chosen rows; returns how many were rejected."""
    from dataset.prepare.journal import Journal

    assert options.remote is not None
    pairs = _asks(rows, chosen, corrections, options)
    asks = [ask for _, ask in pairs]
    with Journal(options.journal, write=True) as journal:
        teacher = TEACHERS[options.teacher].load().Teacher(options.remote, journal)
        before = deepcopy(journal.ledger)
        for line in _outlook(teacher, asks, rows, options):
            log.info("      %s", line)
        try:
            answers = teacher.interpret(asks)
        finally:
            log.info("      this run: %s", journal.ledger - before)
            log.info("      since the journal began: %s", journal.ledger)
    return _take([row for row, _ in pairs], answers, corrections, options)


def _outlook(
    teacher: RemoteTeacher, asks: Sequence[Ask], rows: Sequence[dict[str, Any]], options: Options
) -> list[str]:
    fields = sorted({name for ask in asks for name in ask.persona})
    own = 0 if options.send_personas else sum(not is_shipped(row["input"]["persona"]) for row in rows)
    hint = f"; {own} rows are of your own personas: --send-personas lists what may leave" if own else ""
    return [
        f"to {teacher.settings.host}, model {teacher.settings.model}: {teacher.estimate(asks)}",
        f"leaves this machine: card pictures and words, persona fields: {', '.join(fields) or 'none'}{hint}",
    ]


def _asks(
    rows: Sequence[dict[str, Any]],
    chosen: Sequence[dict[str, Any]],
    corrections: dict[str, Correction],
    options: Options,
) -> list[tuple[dict[str, Any], Ask]]:
    """The chosen rows with their requests, without those that a correction settles whole.

    A combination that a person has several times is numbered through all rows, so that the choice changes no request.
    """
    settled = {key for key, correction in corrections.items() if correction.context.keys() >= set(CONTEXT_FIELDS)}
    wanted = {row["id"] for row in chosen if row.get("key") not in settled}
    earlier: Counter[tuple[Any, ...]] = Counter()
    pairs = []
    for row in rows:
        same = (row.get("persona_id"), *row["input"]["AAC_card_combination"])
        if row["id"] in wanted:
            pairs.append((row, _ask(row, earlier[same], options)))
        earlier[same] += 1
    return pairs


def _ask(row: dict[str, Any], occasion: int, options: Options) -> Ask:
    from dataset.prepare.teachers.ask import Ask

    source = row["input"]
    known = Context.read({name: text for name, text in (source.get("context") or {}).items() if text})
    given = known if any(known.public().values()) else None
    if given and options.send_personas is None and not is_shipped(source["persona"]):
        raise UserError(
            f"{options.file('dataset_with_cards.json')}: row {row['id']}: its context would leave this machine; list "
            f"the persona fields that may go along with --send-personas, or empty the context"
        )
    pictures = tuple(options.images / card for card in source["AAC_card_combination"])
    persona = may_leave(source["persona"], options.send_personas)
    return Ask(pictures, tuple(_words(row)), persona, given, occasion, row.get("persona_id"))


def _take(
    rows: Sequence[dict[str, Any]], answers: Sequence[Answer], corrections: dict[str, Correction], options: Options
) -> int:
    rejected = []
    for row, answer in zip(rows, answers, strict=True):
        if not answer.reasons or row.get("key") in corrections:
            row["input"]["context"] = answer.context.public()
            row["output"] = answer.sentences
            continue
        reasons = [f"{'sentence ' + str(place) if place else 'answer'}: {code}" for place, code in answer.reasons]
        about = {name: row.get(name) for name in ("id", "key", "persona_id", "keywords")}
        rejected.append({**about, "reasons": reasons, "asked": answer.asked, "last_answer": answer.sentences})
    path = options.file(REJECTED)
    write_json(path, rejected)
    again = sum(answer.asked > 1 for answer in answers)
    log.info("      %d rows were asked again for a bad answer, %d rejected in the end (%s)", again, len(rejected), path)
    if rejected:
        counts = Counter(reason for entry in rejected for reason in entry["reasons"])
        log.warning("      rejected: %s", ", ".join(f"{count} {reason}" for reason, count in counts.most_common()))
        log.warning("      write these rows by hand into %s (by their key)", options.corrections)
    return len(rejected)
