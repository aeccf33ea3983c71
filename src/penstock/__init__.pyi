from .agents.answers import AgentResult
from .agents.condition_runner import ConditionRunner, RunOutput
from .agents.context import RunContext
from .agents.shapes import agent, per_condition
from .agents.workers import in_worker_process
from .designs import build_design
from .errors import (
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
from .evaluators.port import Evaluator, Scores
from .events.bus import EventBus, EventStream, Subscriber
from .events.tree import (
    Event,
    LimitChanged,
    LoopStalled,
    RunAbandoned,
    RunCancelled,
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
from .options import RunnerOptions
from .planning.plan import Plan, RunSpec, plan
from .planning.selection import Selection
from .planning.validation import validate_study
from .results import Evaluation, Observation, RunError, RunResult, RunStatus
from .run import StudyResult, arun_study, resume_study, run_study
from .runner import StudyRunner
from .running.checking import CheckReport, check
from .study.conditions import Condition, conditions
from .study.execution import Execution, Retry
from .study.factors import Block, Constraint, Factor, FactorKind, Level
from .study.files import load_study
from .study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from .study.model import Study
from .study.policies import DesignKind, DesignSpec, RunBudget, RunOrder, SeedPolicy
from .study.problem import Problem
from .summary import StudySummary

__all__ = [
    "AgentResult",
    "AnalysisPlan",
    "BindingError",
    "Block",
    "CheckReport",
    "Condition",
    "ConditionRunner",
    "Constraint",
    "DesignKind",
    "DesignSpec",
    "DirectoryInUseError",
    "Evaluation",
    "Evaluator",
    "Event",
    "EventBus",
    "EventStream",
    "Execution",
    "Factor",
    "FactorKind",
    "ForeignDirectoryError",
    "Hypothesis",
    "Level",
    "LimitChanged",
    "LoopStalled",
    "Observation",
    "Outcome",
    "PenstockError",
    "Plan",
    "Problem",
    "Retry",
    "RunAbandoned",
    "RunBudget",
    "RunCancelled",
    "RunContext",
    "RunError",
    "RunEvent",
    "RunFailed",
    "RunFinished",
    "RunObserved",
    "RunOrder",
    "RunOutput",
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
    "Scores",
    "SeedPolicy",
    "Selection",
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
    "check",
    "conditions",
    "in_worker_process",
    "load_study",
    "per_condition",
    "plan",
    "resume_study",
    "run_study",
    "validate_study",
]
