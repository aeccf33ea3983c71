from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from penstock.errors import StudyFileError, ValidationError
from penstock.study.factors import Factor
from penstock.study.files import load_study

STUDY = """\
study_id: s
title: t
agents: {{a: agents.py:a}}
problems: {{file: {file}, id: id, brief: question{more}}}
"""


def ids_of(folder: Path, name: str, raw: bytes, more: str = "") -> list[tuple[str, str]]:
    (folder / name).write_bytes(raw)
    (folder / "study.yaml").write_text(STUDY.format(file=name, more=more))
    problems = load_study(folder / "study.yaml").problems
    return [(problem.problem_id, problem.brief) for problem in problems]


@pytest.mark.field("studies-C6")
@pytest.mark.parametrize(
    ("raw", "more"),
    [
        (b"id,question,,\n1,hi,,\n,,,\n", ""),
        (b"id;question\n1;hi\n", ", delimiter: ';'"),
        (b"id\tquestion\n1\thi\n", ', delimiter: "\\t"'),
        ("id,question\n1,hi\n".encode("utf-16"), ", encoding: utf-16"),
        ("id,question\n1,hi\n".encode("utf-16"), ""),
        ("id,question\n1,hi\n".encode("utf-16-le"), ""),
        ("id,question\n1,hi\n".encode("utf-16-be"), ""),
        ("id,question\n1,hi\n".encode("utf-32"), ""),
        ("id,question\n1,hi\n".encode("utf-8-sig"), ""),
        ("sep=;\r\nid;question\r\n1;hi\r\n".encode("utf-16"), ""),
        ("id,question\n1,hi\n".encode("cp1252"), ", encoding: cp1252"),
    ],
)
def test_a_table_as_spreadsheet_programs_write_it_is_read(
    tmp_path: Path, raw: bytes, more: str
) -> None:
    assert ids_of(tmp_path, "q.CSV", raw, more) == [("1", "hi")]


@pytest.mark.field("studies-C6")
@pytest.mark.parametrize(
    ("raw", "advice"),
    [
        (b"id;question\n1;hi\n", "say `delimiter: ';'`"),
        ("id,question\n1,h\xe9\n".encode("cp1252"), "say how it is written (`encoding: cp1252`"),
    ],
)
def test_a_table_that_is_written_otherwise_is_refused_with_what_to_say(
    tmp_path: Path, raw: bytes, advice: str
) -> None:
    with pytest.raises(StudyFileError) as refused:
        ids_of(tmp_path, "q.csv", raw)

    assert advice in str(refused.value)


def test_packed_rows_and_study_files_are_read_by_their_byte_order_mark(tmp_path: Path) -> None:
    packed = gzip.compress('{"id": 1, "question": "hé"}\n'.encode("utf-16"))
    assert ids_of(tmp_path, "q.jsonl.gz", packed) == [("1", "hé")]

    text = "study_id: s\r\ntitle: é\r\nnotes: |\r\n  a\r\n  b\r\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le"):
        (tmp_path / "study.yaml").write_bytes(text.encode(encoding))
        study = load_study(tmp_path / "study.yaml")
        assert (study.title, study.notes) == ("é", "a\nb\n")


def test_a_key_that_stands_twice_is_named_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("study_id: s\ntitle: t\nfactors: {}\nfactors: []\n")

    with pytest.raises(StudyFileError) as refused:
        load_study(tmp_path / "study.yaml")

    (said,) = refused.value.errors
    assert said == (
        "is not YAML: duplicate key: `factors` stands a second time in line 4; keep one of them"
    )


@pytest.mark.field("studies-C11")
@pytest.mark.field("studies-B7")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 1, "question": "q", "v": NaN}', "NaN is not JSON"),
        ('{"id": 1, "question": "q", "v": -Infinity}', "-Infinity is not JSON"),
        ('{"id": 1.0, "question": "q"}', "an id is a text or a whole number"),
        ('{"id": true, "question": "q"}', "names the problem, is true"),
        ('{"id": 1, "question": [{"role": "user"}]}', "a brief is a text"),
        ('{"id": 1, "question": {"en": "hello"}}', "a brief is a text"),
    ],
)
def test_a_line_that_would_be_read_as_something_else_is_refused(
    tmp_path: Path, line: str, said: str
) -> None:
    with pytest.raises(StudyFileError) as refused:
        ids_of(tmp_path, "q.jsonl", line.encode())

    assert "line 1" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.field("studies-B6")
@pytest.mark.parametrize(
    ("dtype", "levels"),
    [("float", ["a", "1e-4"]), ("float", [0.1, "0x1g"]), ("int", [1, 0.5]), ("int", [True, 2])],
)
def test_levels_are_of_the_numeric_type_that_their_factor_declares(
    dtype: str, levels: list[object]
) -> None:
    with pytest.raises(ValidationError, match=f"Factor 'lr' has dtype {dtype}, which .* is not"):
        Factor(name="lr", dtype=dtype, levels=levels)

    assert Factor(name="lr", dtype=dtype, levels=[1, 2]).values() == (1, 2)


@pytest.mark.field("studies-B6")
def test_numbers_that_yaml_takes_for_texts_are_numbers_where_their_factor_says_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "study.yaml").write_text(
        "study_id: s\ntitle: t\nfactors:\n"
        "  - {name: lr, dtype: float, levels: [1e-3, 0x10, 1_000, {name: last, value: 5E2}]}\n"
        "  - {name: id, levels: [1e-3, 007]}\n"
    )

    rate, name = load_study(tmp_path / "study.yaml").factors

    assert rate.values() == (0.001, 16, 1000, 500.0)
    assert [level.name for level in rate.levels] == ["0.001", "16", "1000", "last"]
    assert name.values() == ("1e-3", "007")


@pytest.mark.field("studies-SEC10")
def test_merge_keys_that_stand_for_too_much_are_refused_at_once(tmp_path: Path) -> None:
    merged = [f"m{at}: &m{at} {{<<: [{', '.join([f'*m{at - 1}'] * 10)}]}}" for at in range(1, 30)]
    (tmp_path / "study.yaml").write_text("\n".join(["m0: &m0 {a: 1}", *merged]))

    with pytest.raises(StudyFileError, match=r"merge keys \(<<\) stand for more than 10,000 keys"):
        load_study(tmp_path / "study.yaml")
