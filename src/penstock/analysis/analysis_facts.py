"""What an analysis found: facts of one outcome, and of a study."""

from __future__ import annotations

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.agreement import Agreement
from penstock.analysis.analysis_html import analysis_html
from penstock.analysis.contrasts import Contrast
from penstock.analysis.covariates import Covariate
from penstock.analysis.drift import Drift
from penstock.analysis.effects import Dunnett, FactorTest
from penstock.analysis.estimates import ConditionEstimate
from penstock.analysis.estimating_equations import EstimatingEquation
from penstock.analysis.missingness import Bounds, Flow
from penstock.analysis.mixed_models import MixedModel
from penstock.analysis.power import VarianceComponents
from penstock.analysis.regression import Regression
from penstock.analysis.verdicts import Family, HypothesisResult
from penstock.analysis.winners import Winner

__all__ = ["Analysis", "OutcomeAnalysis"]


class OutcomeAnalysis(Fact):
    """What came of one outcome.

    Args:
        outcome: Its name.
        better: Which way is better, as declared.
        measured_in: What it is counted in, as declared.
        chosen: Which runs these numbers are of, where filters of its analysis plans leave some out.
        order: Its texts from the least to the most, where they count as their places.
        unit: What is generalised over: ``problem``; ``replicate`` where there is one problem;
            ``replicate within problem`` where the analysis plan means these problems only.
        unit_note: A sentence about it, where it is not the problem.
        conditions: An estimate for each condition.
        contrasts: ``left-right`` -> the difference of two levels.
        effects: A factor, or ``a:b`` -> the difference of two levels' means, or of differences.
        factors: Factor -> a test of all its levels at once.
        dunnett: Level -> its comparison with the control, where there are three or more.
        covariates: What the analysis plans of the outcome adjust for; it enters the next three.
        regressions: Contrast or effect -> the same from a regression by problem.
        mixed_models: Contrast or effect -> the same from a mixed model, where a plan asks for it.
        estimating_equations: Contrast or effect -> the log-odds ratio, for outcomes of 0 and 1.
        variance: How problems, conditions between problems, and replicates vary.
        flow: What became of each condition's runs.
        missing: Contrast -> whether the share of runs without a value depends on the condition.
        aliases: Effect -> effects that the design cannot tell from it, with their signs.
        bounds: Contrast -> what it would be with other answers in the place of failed runs.
        winners: The best level of the factor that hypotheses are about, in each setting of the
            others, where the outcome declares which way is better.
        rows: The SQL that gives every scored run, which variances, models, tests of factors and
            drift are made from.
        python: The Python that gives the means of problems under each condition.
    """

    outcome: str
    better: str | None = None
    measured_in: str = ""
    chosen: str = ""
    order: tuple[str, ...] = ()
    unit: str
    unit_note: str | None = None
    conditions: tuple[ConditionEstimate, ...] = ()
    contrasts: dict[str, Contrast] = EMPTY
    effects: dict[str, Contrast] = EMPTY
    factors: dict[str, FactorTest] = EMPTY
    dunnett: dict[str, Dunnett] = EMPTY
    covariates: tuple[Covariate, ...] = ()
    regressions: dict[str, Regression] = EMPTY
    mixed_models: dict[str, MixedModel] = EMPTY
    estimating_equations: dict[str, EstimatingEquation] = EMPTY
    variance: VarianceComponents = VarianceComponents()
    flow: tuple[Flow, ...] = ()
    missing: dict[str, Contrast] = EMPTY
    bounds: dict[str, Bounds] = EMPTY
    aliases: dict[str, tuple[str, ...]] = EMPTY
    winners: tuple[Winner, ...] = ()
    rows: str = ""
    python: str = ""


class Analysis(Fact):
    """What came of a study.

    Args:
        study_id: Which study.
        primary: The name of its primary outcome.
        outcomes: Outcome -> what came of it.
        hypotheses: A verdict for each declared hypothesis.
        families: The hypotheses that were adjusted for each other.
        planned: Runs in the plan.
        ended: Runs with a result.
        is_blind: Whether contrasts and outcomes by condition are withheld, because the study
            declares hypotheses and runs are left: who looks and goes on rejects more true null
            hypotheses than the 5 % that are meant.
        is_exploratory: Whether nothing was declared, so that every effect is a suggestion.
        costs: ``cost_usd`` and ``latency_s`` -> what a run cost and took under each condition.
        drift: How far the primary outcome and the time of a run moved while the study ran.
        agreements: How far evaluators agree with each other, or with people's labels, over all
            conditions.
        unblinded: Who looked at what conditions came to while runs were left, each in a sentence.
        redeclared: What was declared otherwise after the first results, each in a sentence.
    """

    study_id: str
    primary: str
    outcomes: dict[str, OutcomeAnalysis]
    hypotheses: tuple[HypothesisResult, ...] = ()
    families: tuple[Family, ...] = ()
    planned: int = 0
    ended: int = 0
    is_blind: bool = False
    is_exploratory: bool = False
    unblinded: tuple[str, ...] = ()
    redeclared: tuple[str, ...] = ()
    costs: dict[str, tuple[ConditionEstimate, ...]] = EMPTY
    drift: tuple[Drift, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    def _repr_html_(self) -> str:
        primary = self.outcomes[self.primary]
        lines = [
            f"{self.ended:,} of {self.planned:,} runs, outcome {self.primary}",
            *self.unblinded,
            primary.unit_note or "",
            "no hypothesis was declared: all is exploratory" if self.is_exploratory else "",
        ]
        differences = {**primary.contrasts, **primary.effects}
        return analysis_html(
            self.study_id, filter(None, lines), self.hypotheses, primary.conditions, differences
        )
