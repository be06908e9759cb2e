"""`report.html` of an evaluation: every row's cards beside its candidates and references, the worst first.

One file without outside links. Without scripts it still shows everything, in the order of the shortfall.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from aac.korean import FRAGMENT, speech_level
from aac.persona import LEVELS
from train.pages.page import Pictures, about, told_sources, write_html
from train.pages.requests_table import requests_table
from train.pages.score_table import score_table
from train.scoring.registry import find, shown_keys, title
from train.scoring.row import Prediction
from train.scoring.table import Table

_BINS = 10
_NONE = "없음"
_STYLE = """
.bar{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;padding:.6rem 0;
background:var(--paper);border-bottom:1px solid var(--line);margin-bottom:1rem}
select{font:inherit;color:inherit;background:var(--sheet);border:1px solid var(--line);border-radius:.5rem;
padding:.25rem .4rem;max-width:11rem}label{white-space:nowrap;font-size:.9rem;color:var(--quiet)}
.two{display:grid;grid-template-columns:1fr 1fr;gap:.2rem 1.5rem}.two h3{font-size:.85rem;color:var(--quiet);margin:0}
.two ol.asked{color:var(--quiet)}ol{font-size:1.05rem}
.chips{display:flex;flex-wrap:wrap;gap:.35rem;margin:.5rem 0 0;padding:0;list-style:none}
.chips li{border:1px solid var(--line);border-radius:1rem;padding:.05rem .6rem;font-size:.85rem}
.chips .low{border-color:#c4483a;color:#c4483a}
@media (prefers-color-scheme:dark){.chips .low{border-color:#ff8f7d;color:#ff8f7d}}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.8rem}
.charts div{background:var(--sheet);border:1px solid var(--line);border-radius:.8rem;padding:.6rem .8rem}
.charts svg{display:block;width:100%;height:3.5rem;fill:var(--mark)}.charts b{font-size:.85rem;font-weight:600}
.charts p{display:flex;justify-content:space-between;margin:0;font-size:.75rem;color:var(--quiet)}
td.same{color:var(--mark);font-weight:700}article{content-visibility:auto;contain-intrinsic-size:auto 16rem}
th:first-child{position:sticky;left:0;background:var(--sheet)}
.only{width:auto;display:inline-block;max-width:100%}[hidden]{display:none}
@media (max-width:36rem){.two{grid-template-columns:1fr}.two h3{margin-top:.4rem}article{padding:.8rem .9rem}
.charts{grid-template-columns:repeat(3,1fr);gap:.4rem}.charts div{padding:.4rem .5rem}.charts svg{height:2rem}
.charts b{display:block;font-size:.75rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.charts p span:not(:nth-child(2)){display:none}th,td{padding:.4rem .5rem}
th:first-child{white-space:normal;min-width:7rem}
body{padding:1rem .7rem 2rem}figure{width:min(5.5rem,19vw)}.bar label{flex:1 1 40%}}
"""
_SCRIPT = """
const list=document.querySelector('#rows'),all=[...list.children],shown=document.querySelector('#shown');
const pick=id=>document.querySelector('#'+id);
function apply(){
  const person=pick('person').value,cards=pick('cards').value,key=pick('key').value;
  let count=0;
  for(const row of all){
    row.hidden=(person&&row.dataset.person!==person)||(cards&&row.dataset.cards!==cards);
    count+=!row.hidden;
  }
  const sign=LOWER.includes(key)?-1:1;
  const value=row=>{const found=SCORES[row.dataset.row][key];return found==null?1e9:sign*found};
  list.append(...[...all].sort((a,b)=>key?value(a)-value(b):0));
  shown.textContent=count;
}
for(const id of ['person','cards','key'])pick(id).addEventListener('change',apply);
"""


def write(
    path: Path,
    predictions: Sequence[Prediction],
    table: Table,
    scores: dict[str, Any],
    images: Path,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        predictions, table: what was said of every row, and its counts, in one order.
        scores: as in metrics.json.
        images: the cards' folder; a card whose picture is not there is shown by its word.
    """
    each = [table.row(place) for place in range(len(predictions))]
    lacking = [sum(_lacks(key, value) for key, value in row.items()) for row in each]
    worst = sorted(range(len(predictions)), key=lambda i: (-lacking[i], table.ids[i]))
    files = {card: images / card for p in predictions for card in p.sample.cards}
    pictures = Pictures(files.values())
    rows = "".join(_article(predictions[i], each[i], i, files, pictures) for i in worst)
    keys = shown_keys({key: value for row in each for key, value in row.items()})
    numbers = [{key: round(row[key], 4) for key in keys if key in row} for row in each]
    body = (
        requests_table(scores.get("requests", {}))
        + f"{score_table(scores)}<h2>점수의 분포</h2><div class='charts'>{_charts(each, keys)}</div>"
        f"<h2>말투: 참고 문장과 모델</h2>{_confusion(predictions)}"
        f"<h2>카드와 문장</h2>{_bar(predictions, keys)}<div id='rows'>{rows}</div>{pictures.credit()}"
    )
    lower = [key for key in keys if find(key).better == "low"]
    script = f"const LOWER={json.dumps(lower)},SCORES={json.dumps(numbers, separators=(',', ':'))};{_SCRIPT}"
    write_html(path, "평가 보고서", body, _STYLE + pictures.css(), script)


def _lacks(key: str, value: float) -> float:
    """By how much a row falls short of what is best, 0–1; 0 where rows are not judged by the metric."""
    metric = find(key)
    if not metric.judged:
        return 0.0
    return value / metric.scale if metric.better == "low" else 1 - value / metric.scale


def _article(
    prediction: Prediction,
    row: dict[str, float],
    place: int,
    files: dict[str, Path],
    pictures: Pictures,
) -> str:
    sample = prediction.sample
    person = sample.persona_id if sample.persona_id is not None else ""
    figures = pictures.figures([files[card] for card in sample.cards], sample.keywords)
    said = "".join(f"<li>{escape(text) or '–'}</li>" for text in prediction.three)
    asked = "".join(f"<li>{escape(text)}</li>" for text in sample.output)
    chips = "".join(
        f"<li{' class=low' if lacks > 0.5 else ''}>{escape(title(key))} {row[key]:.2f}</li>"
        for key in row
        if (lacks := _lacks(key, row[key])) > 1 - find(key).judged
    )
    told = "".join(f'<p class="note">※ {escape(note)}</p>' for note in told_sources(prediction.notes))
    return (
        f'<article data-row="{place}" data-person="{person}" data-cards="{len(sample.cards)}">'
        f'<div class="cards">{figures}</div>'
        f'<p class="who">{sample.id}번 · {escape(about(sample))}</p>'
        f'<div class="two"><div><h3>모델</h3><ol>{said}</ol></div>'
        f'<div><h3>참고 문장</h3><ol class="asked">{asked}</ol></div></div>'
        f"{told}{f'<ul class=chips>{chips}</ul>' if chips else ''}</article>"
    )


def _bar(predictions: Sequence[Prediction], keys: Sequence[str]) -> str:
    people = Counter(p.sample.persona_id for p in predictions if p.sample.persona_id is not None)
    cards = Counter(len(p.sample.cards) for p in predictions)
    persons = "".join(f'<option value="{n}">사용자 {n} ({count}건)</option>' for n, count in sorted(people.items()))
    counts = "".join(f'<option value="{n}">{n}장 ({count}건)</option>' for n, count in sorted(cards.items()))
    orders = "".join(f'<option value="{key}">{escape(title(key))}</option>' for key in keys)
    return (
        f'<div class="bar"><label>사용자 <select id="person"><option value="">모두</option>{persons}</select></label>'
        f'<label>카드 <select id="cards"><option value="">모두</option>{counts}</select></label>'
        f'<label>나쁜 순서 <select id="key"><option value="">전체</option>{orders}</select></label>'
        f'<span class="who"><b id="shown">{len(predictions)}</b>건</span></div>'
    )


def _charts(each: Sequence[dict[str, float]], keys: Sequence[str]) -> str:
    """A histogram of each metric over the rows, from 0 to its scale."""
    charts = ""
    for key in keys:
        values, scale = [row[key] for row in each if key in row], find(key).scale
        heights, _ = np.histogram(np.clip(values, 0, scale), bins=_BINS, range=(0, scale))
        top = max(int(heights.max()), 1)
        bars = "".join(
            f'<rect x="{n * 10 + 0.5}" y="{40 - 40 * count / top:.1f}" width="9" height="{40 * count / top:.1f}">'
            f"<title>{scale * n / _BINS:.1f}–{scale * (n + 1) / _BINS:.1f}: {count}건</title></rect>"
            for n, count in enumerate(heights.tolist())
        )
        charts += (
            f"<div><b>{escape(title(key))}</b>"
            f'<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img">{bars}</svg>'
            f"<p><span>0</span><span>평균 {np.mean(values):.2f}</span><span>{scale}</span></p></div>"
        )
    return charts


def _confusion(predictions: Sequence[Prediction]) -> str:
    """How often a candidate has which speech level where the reference of its style has which."""
    pairs = Counter(
        (speech_level(reference), speech_level(text) if text else _NONE)
        for p in predictions
        for reference, text in zip(p.sample.output, p.three, strict=True)
    )
    levels = [level for level in (*LEVELS, FRAGMENT, _NONE) if any(level in pair for pair in pairs)]
    head = "".join(f"<th>{level}</th>" for level in levels)
    body = ""
    for wanted in levels:
        if total := sum(pairs[wanted, got] for got in levels):
            cells = "".join(
                f"<td{' class=same' if got == wanted else ''}>{pairs[wanted, got]:,}"
                f"<small>{100 * pairs[wanted, got] / total:.0f} %</small></td>"
                for got in levels
            )
            body += f"<tr><th>참고 {wanted}</th>{cells}</tr>"
    return f'<div class="scroll only"><table><thead><tr><th></th>{head}</tr></thead>{body}</table></div>'
