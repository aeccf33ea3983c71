"""A simulated provider of chat models, to rehearse a study for nothing (extra ``models``)."""

from __future__ import annotations

from penstock.models.simulator.faults import Fault, RetryAfterForm
from penstock.models.simulator.options import SimulatorOptions
from penstock.models.simulator.provider import SimulatedProvider
from penstock.models.simulator.records import RequestRecord

__all__ = ["Fault", "RequestRecord", "RetryAfterForm", "SimulatedProvider", "SimulatorOptions"]
