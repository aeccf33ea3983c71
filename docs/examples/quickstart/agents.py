"""Three search strategies as agents, the functions they minimise, and the evaluator.

Every random number comes from ``ctx.rng``, which is the run's own: the same study gives the same
answers at any concurrency and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from anyio.lowlevel import checkpoint
from numpy.typing import NDArray

import penstock as ps

Points = NDArray[np.float64]
"""Points as rows, or one value for each of them."""


def sphere(x: Points) -> Points:
    return np.asarray(np.sum(x**2, axis=-1))


def rosenbrock(x: Points) -> Points:
    head, tail = x[..., :-1], x[..., 1:]
    return np.asarray(np.sum(100 * (tail - head**2) ** 2 + (1 - head) ** 2, axis=-1))


def rastrigin(x: Points) -> Points:
    return np.asarray(np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10, axis=-1))


def ackley(x: Points) -> Points:
    root_mean_square = np.sqrt(np.mean(x**2, axis=-1))
    ripple = np.mean(np.cos(2 * np.pi * x), axis=-1)
    return np.asarray(20 - 20 * np.exp(-0.2 * root_mean_square) + np.e - np.exp(ripple))


FUNCTIONS: Mapping[str, Callable[[Points], Points]] = {
    "sphere": sphere,
    "rosenbrock": rosenbrock,
    "rastrigin": rastrigin,
    "ackley": ackley,
}


class Objective:
    """The function of a run's problem; counts evaluations and remembers the best point."""

    def __init__(self, ctx: ps.RunContext) -> None:
        payload = ctx.problem.payload
        self.lower, self.upper = payload["lower"], payload["upper"]
        self.dimensions = len(payload["argmin"])
        self.left = ctx.condition["budget"]
        self.best_point: Points = np.zeros(self.dimensions)
        self.best_value = np.inf
        self._rng = ctx.rng
        self._function = FUNCTIONS[payload["function"]]

    def sample(self, count: int) -> Points:
        """Draw points evenly from the box."""
        return self._rng.uniform(self.lower, self.upper, (count, self.dimensions))

    def clip(self, points: Points) -> Points:
        """Move points outside of the box to its border."""
        return np.clip(points, self.lower, self.upper)

    async def evaluate(self, points: Points) -> Points:
        """Give the value of each point; those beyond the budget are worth nothing."""
        await checkpoint()  # an agent that computes lets the other runs have their turn
        values = np.full(len(points), np.inf)
        affordable = points[: self.left]
        values[: len(affordable)] = self._function(affordable)
        self.left -= len(affordable)
        best = int(np.argmin(values))
        if values[best] < self.best_value:
            self.best_point, self.best_value = points[best], float(values[best])

        return values

    def answer(self) -> dict[str, Any]:
        """Say what was found, as an agent returns it."""
        return {"x": self.best_point.tolist(), "claimed_value": self.best_value}


# --8<-- [start:random]
async def random_search(ctx: ps.RunContext) -> Mapping[str, Any]:
    """Draw every point evenly from the box."""
    objective = Objective(ctx)
    while objective.left:
        await objective.evaluate(objective.sample(50))

    return objective.answer()


# --8<-- [end:random]


async def local_search(ctx: ps.RunContext) -> Mapping[str, Any]:
    """Run a (1+1)-ES: a normal step, kept if no worse, its size ruled by the share of successes.

    Source: Rechenberg, "Evolutionsstrategie", 1973 (the one-fifth rule).
    """
    objective = Objective(ctx)
    step = (objective.upper - objective.lower) / 6
    point = objective.sample(1)
    (value,) = await objective.evaluate(point)
    while objective.left:
        moved = objective.clip(point + step * ctx.rng.standard_normal(point.shape))
        (moved_value,) = await objective.evaluate(moved)
        if moved_value <= value:
            point, value = moved, moved_value
            step *= 1.5
        else:
            step *= 1.5**-0.25

    return objective.answer()


async def differential_evolution(ctx: ps.RunContext) -> Mapping[str, Any]:
    """Run DE/rand/1/bin with 20 members.

    Source: Storn and Price, "Differential Evolution", J. Global Optimization 11, 1997.
    """
    size, weight, crossover = 20, 0.5, 0.9
    objective, rng = Objective(ctx), ctx.rng
    members = objective.sample(size)
    values = await objective.evaluate(members)
    while objective.left:
        others = np.array([rng.permutation(np.delete(np.arange(size), i))[:3] for i in range(size)])
        a, b, c = members[others[:, 0]], members[others[:, 1]], members[others[:, 2]]
        crossed = rng.random(members.shape) < crossover
        crossed[np.arange(size), rng.integers(members.shape[1], size=size)] = True
        trials = objective.clip(np.where(crossed, a + weight * (b - c), members))
        trial_values = await objective.evaluate(trials)
        better = trial_values <= values
        members[better], values[better] = trials[better], trial_values[better]

    return objective.answer()


def distance_from_optimum(answer: list[float], problem: ps.Problem) -> Mapping[str, float]:
    """Score a point: the function's value there, and how far it is from the known minimum."""
    point = np.asarray(answer)
    return {
        "best_value": float(FUNCTIONS[problem.payload["function"]](point)),
        "distance": float(np.linalg.norm(point - np.asarray(problem.payload["argmin"]))),
    }
