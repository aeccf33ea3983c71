"""How long a simulated answer takes."""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist

from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["latency_s"]


def latency_s(options: SimulatorOptions, at: float) -> float:
    """Find the latency at a place of its distribution, in seconds.

    Args:
        options: The distribution: its kind, its mean and its width.
        at: The place, between 0 and 1: at 0.5 is the median.
    """
    mean_s, jitter_s = options.latency_s, options.jitter_s
    if not mean_s or not jitter_s or options.latency_distribution == "constant":
        return mean_s

    if options.latency_distribution == "uniform":
        return max(0.0, mean_s + (2 * at - 1) * jitter_s)

    variance = log(1 + (jitter_s / mean_s) ** 2)
    normal = NormalDist(log(mean_s) - variance / 2, sqrt(variance))
    return exp(normal.inv_cdf(min(max(at, 1e-12), 1 - 1e-12)))
