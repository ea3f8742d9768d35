"""The catalogue of clauses is complete, well-formed, and agrees with the protocol's error codes."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from kio.schema.errors import ErrorCode

from spec.clause import Clause
from spec.clauses import CLAUSES, collect
from spec.profile import PROFILES

COUNTS = {
    "CTL": 8,
    "META": 7,
    "LEAD": 9,
    "ISR": 9,
    "LOG": 9,
    "OFF": 8,
    "PROD": 10,
    "CONS": 7,
    "GRP": 11,
    "TXN": 11,
    "AMO": 2,
    "ALO": 2,
    "EOS": 5,
    "QUOTA": 5,
    "ACL": 6,
    "DUR": 4,
    "ERR": 7,
}
"""The permanent ids, in the order in which they are printed: each area counts from 01."""

CODES = {code.name.upper(): code.value for code in ErrorCode if code.value != 0}
NUMBERED = re.compile(r"\b([A-Z][A-Z_]{2,}) \((-?\d+)\)")
KEYWORD = re.compile(r"\b(?:MUST|SHOULD)\b")

clauses = pytest.mark.parametrize("clause", CLAUSES.values(), ids=list(CLAUSES))


def texts(clause: Clause) -> str:
    parts = (clause.sentence, clause.reason, clause.observe, clause.varies, clause.calibrated)
    return " ".join(parts)


def test_the_ids_are_the_permanent_ones_in_order() -> None:
    expected = [f"{area}-{n:02}" for area, count in COUNTS.items() for n in range(1, count + 1)]
    assert len(expected) == 120
    assert list(CLAUSES) == expected


def test_an_id_that_occurs_twice_is_refused() -> None:
    first = CLAUSES["CTL-01"]
    with pytest.raises(ValueError, match="CTL-01 is defined twice"):
        collect([[first], [replace(first, sentence="Another MUST.")]])


def test_clauses_are_ordered_by_area_then_number() -> None:
    log, metadata = CLAUSES["LOG-01"], CLAUSES["META-01"]
    assert list(collect([[CLAUSES["LOG-02"], log], [metadata]])) == ["LOG-01", "LOG-02", "META-01"]


@clauses
def test_a_sentence_is_normative(clause: Clause) -> None:
    """Its own level is among its words, so every sentence has MUST or SHOULD."""
    assert clause.level in KEYWORD.findall(clause.sentence)


@clauses
def test_prose_is_made_of_whole_sentences(clause: Clause) -> None:
    prose = (clause.sentence, clause.reason, clause.observe, clause.varies, clause.calibrated)
    for text in filter(None, prose):
        assert text.endswith(".")
        assert text == " ".join(text.split())


def test_no_two_clauses_say_the_same() -> None:
    for field in ("sentence", "reason"):
        counts = Counter(getattr(clause, field) for clause in CLAUSES.values())
        assert [text for text, count in counts.items() if count > 1] == []


@clauses
def test_error_names_carry_the_number_of_the_protocol(clause: Clause) -> None:
    for name, number in NUMBERED.findall(texts(clause)):
        assert name in CODES, f"{clause.id}: {name} is no error of the protocol"
        assert int(number) == CODES[name], f"{clause.id}: {name} is {CODES[name]}"


@clauses
def test_an_error_in_a_sentence_has_its_number(clause: Clause) -> None:
    numbered = {name for name, _ in NUMBERED.findall(clause.sentence)}
    named = {word for word in re.findall(r"[A-Z][A-Z_]+[A-Z]", clause.sentence) if word in CODES}
    assert named == numbered


def test_sentences_name_errors_at_all() -> None:
    named = {name for clause in CLAUSES.values() for name, _ in NUMBERED.findall(clause.sentence)}
    assert len(named) > 60


@clauses
def test_needs_and_sources_are_not_repeated(clause: Clause) -> None:
    assert len(set(clause.needs)) == len(clause.needs)
    assert len(set(clause.sources)) == len(clause.sources)


@clauses
def test_a_licence_to_differ_is_one(clause: Clause) -> None:
    if clause.varies:
        assert "MAY" in clause.varies.split()


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_consists_of_clauses(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name == name
    assert profile.meaning.endswith(".")
    assert profile.clauses
    assert profile.clauses <= CLAUSES.keys()


def test_the_profiles_are_those_that_the_options_name() -> None:
    names = {"core", "durability", "groups", "transactions", "administration", "all"}
    assert set(PROFILES) == names


def test_all_is_everything() -> None:
    assert PROFILES["all"].clauses == CLAUSES.keys()


def test_every_clause_is_in_a_profile_besides_all() -> None:
    named = [profile.clauses for name, profile in PROFILES.items() if name != "all"]
    assert CLAUSES.keys() - frozenset().union(*named) == set()


def test_core_needs_neither_groups_nor_transactions() -> None:
    areas = {CLAUSES[id].area for id in PROFILES["core"].clauses}
    assert areas.isdisjoint({"GRP", "TXN", "AMO", "ALO", "EOS", "QUOTA", "ACL", "CTL"})
