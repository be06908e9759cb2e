"""What a remote teacher writes for the rows that a model is scored on: with the journal and the estimate of step 8.

References that the teacher wrote itself favour it; its second draw, here, says by how much. Step 8 lets the teacher
make up the situation, this tells it the row's own, so the two are different requests.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from aac.io import UserError
from aac.records import Sample

log = logging.getLogger("aac")


def teacher_candidates(
    name: str,
    samples: Sequence[Sample],
    images: Path,
    root: Path,
    voice: str,
    send_personas: Sequence[str] | None = None,
    dry_run: bool = False,
) -> list[list[str]]:
    """Three sentences a row; what was answered once is never asked again.

    Args:
        name: who is asked, of `dataset/prepare/teachers/registry.py`.
        samples: the rows to score.
        images: the cards' folder.
        root: the workspace, which holds `.env` and `dataset/teacher_journal.jsonl`.
        voice: first or third person.
        send_personas: fields of a user's own personas that may leave this machine, and with them the contexts.
        dry_run: say what would be sent, and send nothing; the result is then empty.

    Raises:
        UserError: settings are missing, or a context of a user's own person would leave this machine.
        ConnectionError: the teacher stopped answering; what it answered is kept.
    """
    from dataset.prepare.journal import Journal
    from dataset.prepare.privacy import check_listed, is_shipped, may_leave
    from dataset.prepare.teachers.ask import Ask
    from dataset.prepare.teachers.registry import TEACHERS

    check_listed(send_personas or ())
    module = TEACHERS[name].load()
    settings = module.Settings.load(root / ".env", voice, need_key=not dry_run)
    asks = []
    for sample in samples:
        persona = sample.persona.public()
        if send_personas is None and not is_shipped(persona) and any(sample.context.public().values()):
            raise UserError(
                f"--teacher: row {sample.id}: the context of one of your own personas would leave this machine; "
                "list the persona fields that may go along with --send-personas"
            )
        pictures = tuple(images / card for card in sample.cards)
        told = may_leave(persona, send_personas)
        asks.append(Ask(pictures, tuple(sample.keywords), told, sample.context, person=sample.persona_id))
    with Journal(root / "dataset/teacher_journal.jsonl", write=not dry_run) as journal:
        teacher, before = module.Teacher(settings, journal), deepcopy(journal.ledger)
        fields = sorted({name for ask in asks for name in ask.persona})
        outlook = teacher.estimate(asks)
        log.info("to %s, model %s: %s", settings.host, settings.model, outlook)
        log.info(
            "leaves this machine: card pictures and words, contexts, persona fields: %s", ", ".join(fields) or "none"
        )
        if dry_run:
            return []
        try:
            answers = teacher.interpret(asks)
        finally:
            log.info("this run: %s", journal.ledger - before)
    if bad := sum(bool(answer.reasons) for answer in answers):
        log.warning("the teacher's last word on %d rows would not pass the gate; it is scored as it is", bad)
    threes = [list(answer.sentences[:3]) for answer in answers]
    same = sum(three == sample.output for three, sample in zip(threes, samples, strict=True))
    if same:
        log.warning("%d rows of the teacher equal their references: perhaps answers that became them", same)
    return threes
