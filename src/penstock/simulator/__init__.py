"""A simulated provider of chat models, to rehearse a study for nothing (floor 2)."""

from __future__ import annotations

from penstock.simulator.faults import Fault, RetryAfterForm
from penstock.simulator.provider import SimulatedProvider
from penstock.simulator.records import RequestRecord
from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["Fault", "RequestRecord", "RetryAfterForm", "SimulatedProvider", "SimulatorOptions"]
