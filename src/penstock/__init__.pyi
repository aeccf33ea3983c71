from .agents.answers import AgentResult
from .agents.context import RunContext
from .agents.shapes import agent
from .designs import build_design
from .errors import (
    PenstockError,
    ValidationError,
)
from .events.bus import EventStream
from .events.tree import (
    RunFailed,
    RunFinished,
)
from .models.gate.shared import Endpoints
from .planning.plan import plan
from .planning.selection import Selection
from .planning.validation import validate_study
from .results import RunResult
from .run import arun_study, resume_study, run_study
from .runner import StudyRunner
from .running.checking import check
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
    "RunResult",
    "SeedPolicy",
    "Selection",
    "Study",
    "StudyResult",
    "StudyRunner",
    "StudySummary",
    "ValidationError",
    "agent",
    "arun_study",
    "build_design",
    "check",
    "conditions",
    "load_study",
    "plan",
    "resume_study",
    "run_study",
    "validate_study",
]
