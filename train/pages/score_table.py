"""The scores of metrics.json as a table in Korean: what the demo's page and the report have in common."""

from __future__ import annotations

from html import escape
from typing import Any

from train.scoring.registry import Shown, find, shown_keys, title

ROW_NAMES = {
    "keywords": "카드 낱말 그대로",
    "grammar_cards_only": "카드만 아는 문법 규칙",
    "nearest_neighbour": "가장 비슷한 학습 문장",
    "teacher": "원격 교사",
    "model_without_persona_and_context": "사람·상황을 모르는 모델",
    "pictures_only": "그림만",
    "keywords_only": "낱말만",
    "pictures_and_keywords": "그림과 낱말",
    "shuffled_images": "다른 그림으로 바꿈",
    "shuffled_personas": "다른 사람으로 바꿈",
    "shuffled_contexts": "다른 상황으로 바꿈",
    "no_persona": "사람 정보 없음",
    "no_context": "상황 정보 없음",
    "no_persona_no_context": "사람·상황 정보 없음",
    "no_persona_embedding": "페르소나 임베딩 없음",
    "no_context_attention": "컨텍스트 어텐션 없음",
    "no_cluster_memory": "클러스터 기억 없음",
    "no_style_embedding": "문체 임베딩 없음",
    "no_text_persona": "프롬프트에 사람 없음",
    "no_text_context": "프롬프트에 상황 없음",
    "heads_only": "프롬프트에 사람·상황 없음",
    "text_only": "프롬프트의 사람·상황만",
}
_WRITERS = {"grammar": "오프라인 교사", "openai": "원격 교사", "person": "사람", "unknown": "쓴 이 모름"}


def score_table(scores: dict[str, Any], shown: Shown = Shown.PAGES) -> str:
    """The metrics, a column each: all rows, several cards, then baselines, inputs and ablations."""
    keys = shown_keys(scores, shown)
    if not keys:
        return ""
    head = "".join(f"<th>{escape(title(key))}</th>" for key in keys)
    rows = {"모두": scores, "카드 2–4장": scores.get("multi") or {}}
    rows |= _leave_one_out(scores.get("leave_one_out", {}))
    for kind in ("baselines", "inputs", "ablations"):
        rows |= {ROW_NAMES.get(name, name): values for name, values in scores.get(kind, {}).items()}
    body = ""
    for name, values in rows.items():
        if values:
            cells = "".join(f"<td>{_cell(values, key)}</td>" for key in keys)
            body += f"<tr><th>{escape(name)}</th>{cells}</tr>"
    counted = f" ({scores['rows']:,}건)" if "rows" in scores else ""
    return (
        f'<h2>점수{counted}</h2><div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>{body}</table></div>'
    )


def _leave_one_out(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Lines that say how far the references agree with each other, and who wrote them."""
    written = ", ".join(f"{_WRITERS.get(who, who)} {count:,}건" for who, count in found.get("written_by", {}).items())
    rows = {}
    for label, place, pair in (
        (f"참고 문장끼리 ({written})", "그 자리에 넣은 후보 문장", found),
        ("사람이 고친 참고 문장끼리", "그 자리에 넣은 후보 문장 (사람이 고친 행)", found.get("person")),
    ):
        if pair:
            rows |= {label: pair["references"], place: pair["candidates"]}
    return rows


def _cell(values: dict[str, Any], key: str) -> str:
    if key not in values:
        return "–"
    digits = 1 if find(key).scale == 100 else 3
    low_high = values.get("intervals", {}).get(key)
    span = f"<small>{low_high[0]:.{digits}f}–{low_high[1]:.{digits}f}</small>" if low_high else ""
    return f"{values[key]:.{digits}f}{span}"
