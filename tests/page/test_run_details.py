from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.page.run_details import run_details
from penstock.page.view import Details
from penstock.store.reader import StoreReader
from tests.page.studies import HOSTILE, run_asking_study


def details_of(results: Path, *, room: int = 1000, **options: Any) -> tuple[Details, list[str]]:
    texts: list[str] = []

    def place_of(text: str) -> int | None:
        if text not in texts:
            if len(texts) == room:
                return None

            texts.append(text)

        return texts.index(text)

    with StoreReader(results) as store:
        runs = [row["run_id"] for row in store.rows("SELECT run_id FROM runs")]
        return run_details(store, runs, place_of, **options), texts


def test_a_run_is_told_with_its_conversation_its_scores_and_its_attempts(tmp_path: Path) -> None:
    details, texts = details_of(run_asking_study(tmp_path))

    assert len(details.runs) == 4
    retried = [each for each in details.runs.values() if len(each["attempts"]) == 2]
    assert len(retried) == 2
    for each in details.runs.values():
        first, second, judge = each["calls"]
        who = [details.words[call[1]] for call in each["calls"]]
        assert who == ["agent", "agent", "clear"]
        assert [details.words[details.messages[at][0]] for at in first[4]] == ["system", "user"]
        assert texts[details.messages[first[4][0]][1]] == "You add."
        assert (second[3], len(second[4])) == (2, 2)
        assert texts[first[5]] in HOSTILE[:3]
        assert texts[judge[5]] == "It is clear. Score: 8"
        ((evaluator, _, value, reason),) = each["scores"]
        assert (details.words[evaluator], value) == ("clear", 8.0)
        assert texts[reason] == "It is clear. Score: 8"
        assert [details.words[kind] for kind, _ in each["events"]] == ["looked"]


def test_what_is_the_same_in_many_runs_stands_once(tmp_path: Path) -> None:
    details, texts = details_of(run_asking_study(tmp_path))

    system = [place for role, place in details.messages if details.words[role] == "system"]
    assert len(system) == 1
    assert len(texts) == len(set(texts))


def test_of_a_study_that_is_blind_neither_scores_nor_judges_are_shown(tmp_path: Path) -> None:
    details, _ = details_of(run_asking_study(tmp_path), shows_scores=False)

    for each in details.runs.values():
        assert "scores" not in each
        assert {details.words[call[1]] for call in each["calls"]} == {"agent"}


def test_a_page_that_is_full_leaves_out_whole_runs(tmp_path: Path) -> None:
    results = run_asking_study(tmp_path)
    whole, texts = details_of(results)

    details, _ = details_of(results, room=len(texts) - 1)

    assert 0 < len(details.runs) < len(whole.runs)
    assert all(each in whole.runs for each in details.runs)
