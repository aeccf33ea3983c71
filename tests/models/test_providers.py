"""Providers that installed packages register are asked as any other is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import ValidationError
from tests.packages import install_package

FERRY = """
    from penstock.models.chat_model import Completion, Usage
    from penstock.models.model_errors import RateLimitedError

    asked = []


    class Plain:
        def __init__(self, options, key):
            self.options, self.key, self.is_open = options, key, None

        async def complete(self, request):
            asked.append((self, request))
            usage = Usage(input_tokens=3, output_tokens=2)
            return Completion(text="42", model="m-1", finish_reason="stop", usage=usage)


    class Opened(Plain):
        async def __aenter__(self):
            self.is_open = True
            return self

        async def __aexit__(self, *error):
            self.is_open = False


    class Busy(Plain):
        async def complete(self, request):
            if not asked:
                asked.append((self, request))
                raise RateLimitedError("busy", http_status=429, retry_after_s=0.01)

            return await super().complete(request)


    class Odd(Plain):
        async def complete(self, request):
            return Completion(text="42", finish_reason="stop", usage=Usage(cost_usd=float("inf")))


    def broken(options, key):
        raise OSError("no boat")
"""


@pytest.fixture
def ferry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package with providers; returns what they were asked."""
    packages = tmp_path / "packages"
    packages.mkdir()
    registered = {
        name: f"ferry_kit:{name}" for name in ("Plain", "Opened", "Busy", "Odd", "broken")
    }
    install_package(
        packages,
        "ferry-kit",
        entry_points={"penstock.providers": {k.lower(): v for k, v in registered.items()}},
        modules={"ferry_kit": FERRY},
    )
    monkeypatch.syspath_prepend(packages)
    import ferry_kit  # type: ignore[import-not-found]

    ferry_kit.asked.clear()
    return ferry_kit


def study(folder: Path, model: Mapping[str, Any], **fields: Any) -> ps.Study:
    (folder / "study.yaml").write_text("")
    return ps.Study(
        study_id="crossed",
        title="t",
        base_dir=folder,
        models={"boat": dict(model)},
        agents={"a": {"chat": {"model": "boat", "prompt": "{{ problem.brief }}"}}},
        problems=(ps.Problem(problem_id="p", brief="6 x 7?"),),
        replicates=4,
        **fields,
    )


def run(folder: Path, model: Mapping[str, Any], **fields: Any) -> ps.StudyResult:
    return ps.run_study(
        study(folder, model, **fields), output_dir=folder / "out", show_progress=False
    )


@pytest.mark.parametrize("provider", ["plain", "opened"])
def test_a_provider_of_a_package_is_asked_and_open_while_a_session_runs(
    ferry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("FERRY_KEY", "sk-canary-of-the-ferry")
    results = run(
        tmp_path,
        {"provider": provider, "api_key_env": "FERRY_KEY", "provider_options": {"deck": 2}},
        prices={"boat": {"input_usd_per_million": 1e6, "output_usd_per_million": 1e6}},
    )

    assert {result.outputs["text"] for result in results} == {"42"}
    assert results.summary.cost_usd == 4 * 5
    (client, request), *_ = ferry.asked
    assert (client.key, client.options.provider_options) == ("sk-canary-of-the-ferry", {"deck": 2})
    assert client.is_open is (False if provider == "opened" else None)
    assert request.messages[-1].content == "6 x 7?"
    assert {row["model_name"] for row in results.to_rows()} == {"m-1"}


@pytest.mark.usefixtures("ferry")
def test_a_charge_that_cannot_be_counted_is_no_charge_of_nothing(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        {"provider": "odd", "max_tokens": 10},
        prices={"boat": {"input_usd_per_million": 0.0, "output_usd_per_million": 1e6}},
        execution={"retry": {"attempts": 1}},
    )

    assert results.summary.failed == 4
    assert [result.metrics.get("uncounted_cost_usd") for result in results] == [10.0] * 4
    assert results.summary.uncounted_cost_usd == 4 * 10.0


def test_its_limits_are_those_that_are_declared_under_its_name(ferry: Any, tmp_path: Path) -> None:
    results = run(tmp_path, {"provider": "busy"}, limits={"busy": {"max_in_flight": 1}})

    assert results.summary.succeeded == 4
    assert len(ferry.asked) == 1 + 4  # refused once, and waited for
    assert results.summary.attempts == 4


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"provider": "plane"}, "there is no provider 'plane'; did you mean 'plain'"),
        ({"provider": "xyz"}, "there are openai, anthropic, simulated, .*broken, .*plain"),
        ({"provider": "broken"}, "broken cannot be used: OSError: no boat"),
        ({"provider": "plain", "headers": {"a": "b"}}, "headers: `provider: plain` makes no use"),
        ({"base_url": "http://h/v1", "provider_options": {"a": 1}}, "provider_options: `provider"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is(
    ferry: Any, tmp_path: Path, model: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        run(tmp_path, model)

    assert ferry.asked == []


@pytest.mark.skipif(find_spec("any_llm") is not None, reason="any-llm is installed")
def test_providers_of_the_other_library_say_which_extra_brings_them(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"pip install 'penstock\[models-any\]'"):
        run(tmp_path, {"provider": "mistral", "model": "m"})
