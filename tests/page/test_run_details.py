from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.page.run_details import run_details
from penstock.page.view import ATTEMPTS, LINE, NOTE, SAID, TITLE, Details
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
    titles = [[each[1] for each in items if each[0] == TITLE] for items in details.runs.values()]
    assert sorted(each[1] for each in titles) == ["Attempts"] * 2 + ["Where its time went"] * 2
    for items, titled in zip(details.runs.values(), titles, strict=True):
        assert (titled[0], *titled[2:]) == ("Scores", "Conversation", "Events")
        said = [
            (each[1], "".join(texts[at] for at in each[2:])) for each in items if each[0] == SAID
        ]
        assert [role for role, _ in said][:4] == ["system", "user", "answers", "assistant"]
        assert said[0][1] == "You add."
        assert said[2][1] in HOSTILE[:3]
        assert ("answers", "It is clear. Score: 8") in said
        assert said[-1][0] == "looked"
        (line,) = (each for each in items if each[0] == LINE)
        assert (line[1], texts[line[2]]) == ("clear: 8", "It is clear. Score: 8")
        calls = [each[1] for each in items if each[0] == NOTE]
        assert [each.partition(" asks ")[0] for each in calls] == ["agent", "agent", "clear"]
        assert calls[1].endswith("after 2 messages from above")
        (attempts,) = (each[1:] for each in items if each[0] == ATTEMPTS)
        for _, told, *pieces in attempts:
            assert all(0 <= left <= left + width <= 100.2 for _, left, width in pieces)
            assert [part for part, _, _ in pieces] == [
                each.split()[0] for each in told.split(" \u00b7 ")[1:]
            ]


def test_what_is_the_same_in_many_runs_stands_once(tmp_path: Path) -> None:
    details, texts = details_of(run_asking_study(tmp_path))

    systems = [each for items in details.runs.values() for each in items if "system" in each]
    assert len(systems) >= 4
    assert len({each[2] for each in systems}) == 1
    assert len(texts) == len(set(texts))


def test_of_a_study_that_is_blind_neither_scores_nor_judges_are_shown(tmp_path: Path) -> None:
    details, _ = details_of(run_asking_study(tmp_path), shows_scores=False)

    for items in details.runs.values():
        assert not any(each[1] == "Scores" for each in items)
        calls = [each[1] for each in items if each[0] == NOTE]
        assert {each.partition(" asks ")[0] for each in calls} == {"agent"}


def test_a_page_that_is_full_leaves_out_whole_runs(tmp_path: Path) -> None:
    results = run_asking_study(tmp_path)
    whole, texts = details_of(results)

    details, _ = details_of(results, room=len(texts) - 1)

    assert 0 < len(details.runs) < len(whole.runs)
    assert all(each in whole.runs for each in details.runs)
