import pytest

from aac.register import levels, partner_class
from dataset.prepare.teachers.contexts import HELD_OUT_PARTNERS, PARTNERS


@pytest.mark.parametrize(
    ("partner", "expected"),
    [
        ("담임 선생님", "선생님"),
        ("의사 선생님", "의사·간호사"),
        ("동네 약국 약사님", "의사·간호사"),
        ("언어 치료사 선생님", "치료사"),
        ("막냇동생", "동생"),
        ("반 친구", "친구"),
        ("우리 팀 팀장님", "상사"),
        ("외계인", "미상"),
        ("", "미상"),
    ],
)
def test_the_head_word_decides_the_class(partner: str, expected: str) -> None:
    assert partner_class(partner) == expected


def test_table_and_override() -> None:
    assert levels("엄마", "아동") == ["반말", "해요체"]
    assert levels("어머니", "아동")[0] == "해요체"
    assert levels("팀장님", "성인") == ["합쇼체", "해요체"]
    assert levels("", "노인") == ["해요체"]
    assert levels("친구", "아동", "합쇼체") == ["합쇼체"]
    assert levels("친구", "") == levels("친구", "성인")


def test_every_sampled_partner_has_its_class_and_none_is_held_out() -> None:
    for name, expressions in PARTNERS.items():
        for text in expressions:
            assert partner_class(text) == name, text
    sampled = {text for group in PARTNERS.values() for text in group}
    assert not sampled & set(HELD_OUT_PARTNERS)
    assert all(partner_class(text) != "미상" for text in HELD_OUT_PARTNERS)
