from .agents.answers import AgentResult
from .agents.condition_runner import RunOutput
from .agents.context import RunContext
from .agents.shapes import agent, per_condition
from .agents.workers import in_worker_process
from .designs import build_design
from .errors import (
    PenstockError,
    SkipRun,
    StopStudy,
    ValidationError,
)
from .events.bus import EventStream
from .events.tree import (
    RunFailed,
    RunFinished,
    RunRetried,
    RunsSaved,
    RunSucceeded,
)
from .models.gate.shared import Endpoints
from .options import RunnerOptions
from .planning.plan import plan
from .planning.selection import Selection
from .planning.validation import validate_study
from .replay import areplay, replay
from .results import RunResult
from .run import arun_study, resume_study, run_study
from .runner import StudyRunner
from .running.checking import CheckReport, check
from .study.chat import Model
from .study.conditions import Condition, conditions
from .study.execution import Execution, Retry
from .study.factors import Block, Constraint, Factor, Level
from .study.files import load_study
from .study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from .study.model import Study
from .study.policies import DesignSpec, SeedPolicy
from .study.problem import Problem
from .study_result import StudyResult
from .summary import StudySummary

__all__ = [
    "AgentResult",
    "AnalysisPlan",
    "Block",
    "CheckReport",
    "Condition",
    "Constraint",
    "DesignSpec",
    "Endpoints",
    "EventStream",
    "Execution",
    "Factor",
    "Hypothesis",
    "Level",
    "Model",
    "Outcome",
    "PenstockError",
    "Problem",
    "Retry",
    "RunContext",
    "RunFailed",
    "RunFinished",
    "RunOutput",
    "RunResult",
    "RunRetried",
    "RunSucceeded",
    "RunnerOptions",
    "RunsSaved",
    "SeedPolicy",
    "Selection",
    "SkipRun",
    "StopStudy",
    "Study",
    "StudyResult",
    "StudyRunner",
    "StudySummary",
    "ValidationError",
    "agent",
    "areplay",
    "arun_study",
    "build_design",
    "check",
    "conditions",
    "in_worker_process",
    "load_study",
    "per_condition",
    "plan",
    "replay",
    "resume_study",
    "run_study",
    "validate_study",
]
