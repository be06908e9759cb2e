"""A blind sheet on which people judge two systems: each distinct sentence of a row once, in a drawn order.

The sheet never says which system wrote a sentence, and nothing secret has to be kept: `rating.py` matches a filled one
back by row and sentence.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from aac.gate import comparable
from aac.io import write_atomic
from aac.records import Sample
from train.pages.page import Pictures, about, situation, who, write_html
from train.scoring.rating import COLUMNS, MEANINGS, TICKS

_STYLE = """
fieldset{border:0;border-top:1px solid var(--line);margin:0;padding:.7rem 0}
legend{font-size:1.1rem;float:left;width:100%}
.choices{clear:both;display:flex;flex-wrap:wrap;gap:.3rem .5rem;padding-top:.35rem}
.choices label{border:1px solid var(--line);border-radius:1rem;padding:.2rem .7rem;cursor:pointer;font-size:.95rem}
.choices label:has(:checked){border-color:var(--mark);color:var(--mark)}
.bar{position:sticky;top:0;background:var(--paper);padding:.6rem 0;display:flex;gap:1rem;align-items:center;z-index:1}
button{font:inherit;padding:.3rem 1rem;border:1px solid var(--mark);border-radius:.6rem;background:var(--mark);
color:var(--paper);cursor:pointer}
"""
# Answers are kept in the browser until the sheet is saved as CSV; nothing leaves the machine.
_SCRIPT = """
const sets=[...document.querySelectorAll('fieldset')],done=document.querySelector('#done');
let kept={};try{kept=JSON.parse(localStorage.getItem(SHEET))||{}}catch{}
sets.forEach((set,i)=>{
  const given=kept[i]||{};
  set.querySelectorAll('input').forEach(input=>{
    input.checked=input.type==='radio'?given.meaning===input.value:!!given[input.value];
  });
  set.addEventListener('change',()=>{
    const now={meaning:set.querySelector('input[type=radio]:checked')?.value||''};
    set.querySelectorAll('input[type=checkbox]').forEach(box=>now[box.value]=box.checked);
    kept[i]=now;try{localStorage.setItem(SHEET,JSON.stringify(kept))}catch{}
    count();
  });
});
function count(){done.textContent=Object.values(kept).filter(given=>given.meaning).length}
document.querySelector('button').addEventListener('click',()=>{
  const cell=text=>'"'+String(text).replaceAll('"','""')+'"';
  const lines=[COLUMNS.map(cell).join(',')];
  ITEMS.forEach((item,i)=>{
    const given=kept[i]||{};
    lines.push([...item,given.meaning||'',...TICKS.map(tick=>given[tick]?1:'')].map(cell).join(','));
  });
  const link=document.createElement('a');
  link.href=URL.createObjectURL(new Blob(['\\ufeff'+lines.join('\\r\\n')+'\\r\\n'],{type:'text/csv'}));
  link.download='ratings.csv';link.click();
});
count();
"""


def write_sheets(
    output: Path,
    samples: Sequence[Sample],
    one: Sequence[Sequence[str]],
    other: Sequence[Sequence[str]],
    images: Path,
    seed: int = 0,
) -> list[Path]:
    """`rating_sheet.html` (cards as pictures; saves a CSV) and `rating_sheet.csv` (for a spreadsheet) of equal content.

    Returns:
        The two paths.
    """
    items = [item for s, a, b in zip(samples, one, other, strict=True) for item in _items(s, [*a, *b], seed)]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows([*item, "", *("" for _ in TICKS)] for item in items)
    sheet, page = output / "rating_sheet.csv", output / "rating_sheet.html"
    write_atomic(sheet, file.getvalue().encode("utf-8-sig"))  # spreadsheets know UTF-8 by its mark
    _write_page(page, samples, items, images)
    return [page, sheet]


def _items(sample: Sample, sentences: Sequence[str], seed: int) -> list[tuple[str, ...]]:
    """The first six cells of a row's lines: each distinct sentence once, in a drawn order."""
    distinct = list({comparable(text): text for text in reversed(sentences) if comparable(text).strip("?")}.values())
    distinct.sort()  # so that the draw does not depend on which system came first
    random.Random(f"{seed}|{sample.id}").shuffle(distinct)
    told = (" + ".join(sample.keywords), who(sample.persona_id, sample.persona.age), situation(sample))
    return [(str(sample.id), str(number), *told, text) for number, text in enumerate(distinct, start=1)]


def _write_page(path: Path, samples: Sequence[Sample], items: Sequence[tuple[str, ...]], images: Path) -> None:
    files = {card: images / card for sample in samples for card in sample.cards}
    pictures = Pictures(files.values())
    blocks, place = "", 0
    for sample in samples:
        own = [item for item in items[place:] if item[0] == str(sample.id)]
        asked = "".join(_question(item[5], place + number) for number, item in enumerate(own))
        place += len(own)
        figures = pictures.figures([files[card] for card in sample.cards], sample.keywords)
        blocks += (
            f'<article><div class="cards">{figures}</div><p class="who">{escape(about(sample))}</p>{asked}</article>'
        )
    bar = f'<div class="bar"><button>CSV로 저장</button><span><b id="done">0</b> / {len(items)} 문장</span></div>'
    told = (
        '<p class="who">카드를 고른 사람의 말로 알맞은지 문장마다 판단해 주세요. 누가 썼는지는 적혀 있지 않습니다. '
        "뜻을 하나 고르고, 해당하면 아래 두 가지도 표시합니다.</p>"
    )
    data = {"ITEMS": items, "COLUMNS": COLUMNS, "TICKS": list(TICKS), "SHEET": f"rating-{_digest(items)}"}
    values = "".join(f"const {name}={_literal(value)};" for name, value in data.items())
    body = f"{told}{bar}{blocks}{pictures.credit()}"
    write_html(path, "문장 평가지", body, _STYLE + pictures.css(), values + _SCRIPT)


def _literal(value: Any) -> str:
    """JSON inside a script: a sentence must not be able to close it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _digest(items: Sequence[tuple[str, ...]]) -> str:
    return hashlib.sha256(json.dumps(items).encode()).hexdigest()[:12]


def _question(sentence: str, number: int) -> str:
    meanings = "".join(
        f'<label><input type="radio" name="m{number}" value="{value}"> {name}</label>'
        for value, name in MEANINGS.items()
    )
    ticks = "".join(f'<label><input type="checkbox" value="{key}"> {name}</label>' for key, name in TICKS.items())
    return (
        f'<fieldset><legend>{escape(sentence)}</legend><div class="choices">{meanings}</div>'
        f'<div class="choices">{ticks}</div></fieldset>'
    )
