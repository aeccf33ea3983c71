"""penstock: run studies with language models; nothing paid for is lost, nothing is run twice."""

from penstock.agents import agent, per_condition
from penstock.answers import AgentResult
from penstock.bus import EventBus, EventStream, Subscriber
from penstock.context import RunContext
from penstock.errors import (
    BindingError,
    DirectoryInUseError,
    ForeignDirectoryError,
    PenstockError,
    RunningLoopError,
    SkipRun,
    StopStudy,
    StoreError,
    StudyFileError,
    SubscriberError,
    ValidationError,
)
from penstock.events import (
    Event,
    LimitChanged,
    RunAbandoned,
    RunEvent,
    RunFailed,
    RunFinished,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyEvent,
    StudyFinished,
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    SubscriberFailed,
)
from penstock.options import RunnerOptions
from penstock.results import Evaluation, Observation, RunError, RunResult, RunStatus, StudySummary
from penstock.retry import Retry
from penstock.runner import StudyRunner
from penstock.studies import StudyResult, arun_study, resume_study, run_study
from penstock.study.conditions import Condition
from penstock.study.designs import build_design
from penstock.study.factors import Block, Constraint, Factor, FactorKind, Level
from penstock.study.files import load_study
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from penstock.study.model import Study
from penstock.study.plan import Plan, RunSpec, plan
from penstock.study.policies import DesignKind, DesignSpec, RunBudget, RunOrder, SeedPolicy
from penstock.study.problem import Problem
from penstock.study.validation import validate_study
from penstock.worker_process import in_worker_process

__all__ = [
    "AgentResult",
    "AnalysisPlan",
    "BindingError",
    "Block",
    "Condition",
    "Constraint",
    "DesignKind",
    "DesignSpec",
    "DirectoryInUseError",
    "Evaluation",
    "Event",
    "EventBus",
    "EventStream",
    "Factor",
    "FactorKind",
    "ForeignDirectoryError",
    "Hypothesis",
    "Level",
    "LimitChanged",
    "Observation",
    "Outcome",
    "PenstockError",
    "Plan",
    "Problem",
    "Retry",
    "RunAbandoned",
    "RunBudget",
    "RunContext",
    "RunError",
    "RunEvent",
    "RunFailed",
    "RunFinished",
    "RunObserved",
    "RunOrder",
    "RunResult",
    "RunRetried",
    "RunSkipped",
    "RunSpec",
    "RunStarted",
    "RunStatus",
    "RunSucceeded",
    "RunnerOptions",
    "RunningLoopError",
    "RunsSaved",
    "SeedPolicy",
    "SkipRun",
    "StopStudy",
    "StoreError",
    "Study",
    "StudyEvent",
    "StudyFileError",
    "StudyFinished",
    "StudyResult",
    "StudyRunner",
    "StudyStarted",
    "StudyStopping",
    "StudySummary",
    "StudyWaiting",
    "Subscriber",
    "SubscriberError",
    "SubscriberFailed",
    "ValidationError",
    "agent",
    "arun_study",
    "build_design",
    "in_worker_process",
    "load_study",
    "per_condition",
    "plan",
    "resume_study",
    "run_study",
    "validate_study",
]
