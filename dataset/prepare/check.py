"""`data_prepare.py --check`: is a data set in the public format fit to train on, and what is in it? Changes nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aac.io import UserError, read_json
from aac.records import Rows, Sample, by_split, nfc, read_clusters, read_rows, seldom_trained
from aac.rules import Problem
from dataset.prepare.cards import POOR, examine, pictures_in

SHOWN = 20  # of one kind; how many more there are is said
CARDS_SHOWN = 400
# Measured on the published tokenizer (32,064 entries, 111 of them Hangul syllables) over everyday Korean sentences.
TOKENS_PER_SYLLABLE = 2.25


def check(path: Path, images: Path | None, tokenizer: Path | None = None) -> int:
    """Print one line a problem, then a summary.

    Args:
        path: a `dataset_completed.json`, ours or someone else's; `clustering_results.json` and `cards.json` beside it
            are read where they are.
        images: the folder of its cards; None: the pictures are not looked at.
        tokenizer: a `tokenizer.json` to count tokens with.

    Returns:
        The exit code: 2 if training would refuse the data or go wrong on it, else 0.
    """
    try:
        count_tokens = _counter(tokenizer) if tokenizer else None
        clusters = path.with_name("clustering_results.json")
        found = read_rows(path, read_clusters(clusters).count if clusters.exists() else None)
    except UserError as error:
        print(error)
        print("problems: 1; training would refuse this: exit 2")
        return 2
    problems = [*found.problems, *(_pictures(found.samples, images) if images else ())]
    try:
        by_split(found.samples, path)
    except UserError as error:
        problems.append(Problem("all", "rows", str(len(found.samples)), str(error).removeprefix(f"{path}: ")))
    seldom = _seldom(found.samples, path.with_name("cards.json"))
    if seldom:
        problems.append(Problem("all", "input.AAC_card_combination", "training rows", seldom, False))
    for line in _lines(path, problems):
        print(line)
    for name, text in _summary(found, images, path, count_tokens):
        print(f"{name:<12} {text}")
    fatal = sum(problem.fatal for problem in problems)
    but = ", but not every card will be learned" if seldom else ""
    verdict = "training would refuse this or go wrong on it" if fatal else f"fit to train on{but}"
    print(f"{'problems':<12} {fatal}, notes {len(problems) - fatal}: {verdict}")
    return 2 if fatal else 0


def _lines(path: Path, problems: Sequence[Problem]) -> Iterator[str]:
    """Problems before notes, at most `SHOWN` of one kind."""
    seen: Counter[tuple[str, str, bool]] = Counter()
    for problem in sorted(problems, key=lambda p: not p.fatal):
        kind = (re.sub(r"\[\d+\]", "", problem.field), problem.remedy, problem.fatal)
        seen[kind] += 1
        if seen[kind] <= SHOWN:
            yield f"{'' if problem.fatal else 'note: '}{path}: {problem}"
    for (field, remedy, _), count in seen.items():
        if count > SHOWN:
            yield f"{path}: {count - SHOWN} more records: {field}: {remedy}"


def _pictures(samples: Sequence[Sample], folder: Path) -> Iterator[Problem]:
    """Cards that are not in the folder, or no pictures; the first record that holds one is named."""
    there = {nfc(path.name): path for path in folder.iterdir()} if folder.is_dir() else {}
    records: dict[str, int] = {}
    uses: Counter[str] = Counter()
    for sample in samples:
        uses.update(sample.cards)
        for card in sample.cards:
            records.setdefault(card, sample.id)
    field = "input.AAC_card_combination"
    for card, record in records.items():
        if card not in there:
            remedy = f"not in {folder} ({uses[card]} uses); put the picture there or give --images"
            yield Problem(record, field, repr(card), remedy)
    present = [card for card in records if card in there]
    with ThreadPoolExecutor(2) as pool:
        for card, look in zip(present, pool.map(examine, map(there.get, present)), strict=True):
            if look.reason:
                fatal = not look.reason.startswith(POOR)
                yield Problem(records[card], field, repr(card), f"{there[card]}: {look.reason}", fatal)


def _seldom(samples: Sequence[Sample], cards_file: Path) -> str:
    """Cards with too few training rows: of those in use, and of those that step 1 took (`cards.json`)."""
    words = {card: word for sample in samples for card, word in zip(sample.cards, sample.keywords, strict=True)}
    table = read_json(cards_file) if cards_file.exists() else None
    entries = table.get("cards", []) if isinstance(table, dict) else []
    words |= {entry["file"]: entry.get("keyword", "") for entry in entries if isinstance(entry.get("file"), str)}
    return seldom_trained(words.items(), Counter(c for s in samples if s.split == "train" for c in s.cards))


def _summary(
    found: Rows, images: Path | None, path: Path, count_tokens: Callable[[str], int] | None
) -> Iterator[tuple[str, str]]:
    samples, statuses = found.samples, found.statuses
    told = ("complete", "failed", "incomplete", "defective")
    yield "rows", f"{statuses.total()}: {', '.join(f'{statuses[name]} {name}' for name in told)}"
    if not samples:
        return
    people = Counter(s.persona_id if s.persona_id is not None else s.persona.model_dump_json() for s in samples)
    rows = sorted(people.values())
    yield "personas", f"{len(people)}, with {rows[0]} to {rows[-1]} complete rows each"
    splits = Counter(sample.split for sample in samples)
    yield "splits", ", ".join(f"{name} {splits[name]}" for name in ("train", "val", "test"))
    lengths = Counter(len(sample.cards) for sample in samples)
    yield "cards a row", ", ".join(f"{n}: {lengths[n]}" for n in sorted(lengths))
    yield from _usage(samples, images)
    if licences := _licences(path.with_name("cards.json"), {card for sample in samples for card in sample.cards}):
        credit = images / "ATTRIBUTION.txt" if images else None
        yield "licences", licences + (f"; see {credit}" if credit and credit.exists() else "")
    yield from _lengths([text for sample in samples for text in sample.output], count_tokens)
    yield "voice", _voice(samples)


def _usage(samples: Sequence[Sample], images: Path | None) -> Iterator[tuple[str, str]]:
    """How often each card occurs, the rarest first."""
    uses = Counter(card for sample in samples for card in sample.cards)
    ordered = sorted(uses.items(), key=lambda item: (item[1], item[0]))
    counts = [count for _, count in ordered]
    spread = f"{len(uses)}, each {counts[0]} to {counts[-1]} times (median {counts[len(counts) // 2]})"
    unused = sum(nfc(path.name) not in uses for path in pictures_in(images)) if images else 0
    yield "cards", spread + (f"; {unused} more pictures in {images} occur in no complete row" if unused else "")
    shown = ", ".join(f"{card} {count}" for card, count in ordered[:CARDS_SHOWN])
    rest = ordered[CARDS_SHOWN:]
    yield "card uses", shown + (f", and {len(rest)} more cards {rest[0][1]} to {rest[-1][1]} times" if rest else "")


def _licences(cards_file: Path, used: set[str]) -> str:
    """The licences that the labels gave (`cards.json`), by number of the cards in use."""
    if not cards_file.exists():
        return ""
    table = read_json(cards_file)
    entries = table.get("cards", []) if isinstance(table, dict) else []
    given = Counter(str(entry.get("licence") or "not stated") for entry in entries if entry.get("file") in used)
    return ", ".join(f"{name}: {count} cards" for name, count in given.most_common())


def _lengths(texts: Sequence[str], count_tokens: Callable[[str], int] | None) -> Iterator[tuple[str, str]]:
    """Sentence lengths: in tokens of a given tokenizer, else in syllables with the published tokenizer's rate."""
    syllables = sorted(len(re.findall("[가-힣]", text)) for text in texts)
    yield "sentences", f"{len(texts)}; syllables {_spread(syllables)}"
    if count_tokens:
        tokens = sorted(map(count_tokens, texts))
        rate = sum(tokens) / max(1, sum(syllables))
        yield "tokens", f"{_spread(tokens)}; {rate:.2f} a syllable"
    else:
        middle, most = (round(TOKENS_PER_SYLLABLE * n) for n in (syllables[len(syllables) // 2], syllables[-1]))
        yield (
            "tokens",
            f"about {middle} (median) to {most} a sentence with Phi-3.5's published vocabulary, which takes about "
            f"{TOKENS_PER_SYLLABLE} tokens a Korean syllable; give --tokenizer tokenizer.json to count them",
        )


def _spread(ordered: Sequence[int]) -> str:
    return f"median {ordered[len(ordered) // 2]}, 95 % up to {ordered[len(ordered) * 95 // 100]}, most {ordered[-1]}"


def _counter(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.exists():
        raise UserError(f"{path}: not found (--tokenizer)")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"{path}: not a tokenizer.json ({error})") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _voice(samples: Sequence[Sample]) -> str:
    from aac.korean import seen_from_outside

    outside = [sum(seen_from_outside(text, s.keywords) for text in s.output) for s in samples]
    share = sum(outside) / (3 * len(samples))
    advice = '; set voice: "third", or mend them' if share > 0.5 else ""
    first = next((f", first in record {s.id}" for s, count in zip(samples, outside, strict=True) if count), "")
    return f"third person in {sum(outside)} of {3 * len(samples)} sentences ({share:.1%}{first}){advice}"
