import pytest

from aac.persona import Context
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
    assert levels("팀장님", "성인", "해요체") == ["해요체"]
    assert levels("친구", "") == levels("친구", "성인")


def test_every_sampled_partner_has_its_class_and_none_is_held_out() -> None:
    for name, expressions in PARTNERS.items():
        for text in expressions:
            assert partner_class(text) == name, text
    sampled = {text for group in PARTNERS.values() for text in group}
    assert not sampled & set(HELD_OUT_PARTNERS)
    assert all(partner_class(text) != "미상" for text in HELD_OUT_PARTNERS)


@pytest.mark.parametrize("partner", ["친구", "아내", "우리 아들", "여동생", "오빠", "엄마"])
def test_a_persons_own_level_stops_at_intimates_unless_it_says_so(partner: str) -> None:
    assert levels(partner, "성인", "합쇼체")[0] == "반말"
    assert levels(partner, "성인", "늘 합쇼체") == ["합쇼체"]


@pytest.mark.parametrize(
    ("sentence", "partner", "place", "time"),
    [
        ("엄마한테 집에서", "엄마", "집", ""),
        ("상사와 회사 회의실에서 점심시간에", "상사", "회의실", "점심시간"),
        ("활동지원사 선생님과 공원에서 산책 중", "활동지원사 선생님", "공원", ""),
        ("오후 3시 병원 대기실에서 간호사님께 말하는 중", "간호사님", "대기실", "오후 3시"),
        ("낯선 사람에게", "낯선 사람", "", ""),
        ("과자를 먹는 중", "", "", ""),
        ("텔레비전을 보고 있다", "", "", ""),
    ],
)
def test_a_free_sentence_is_heard(sentence: str, partner: str, place: str, time: str) -> None:
    found = Context.parse(sentence)
    assert (found.interaction_partner, found.place, found.time) == (partner, place, time)
    assert found.current_activity == sentence
