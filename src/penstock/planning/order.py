"""In which order the runs of a plan are started: a permutation of its positions.

`RunOrder` says what the orders mean and why blocked is the default: a provider that drifts
while the study runs makes condition-by-condition order find effects that are not there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from random import Random

from penstock.planning.plan import Plan
from penstock.study.identity import stable_json_dumps
from penstock.study.policies import RunOrder

__all__ = ["execution_order"]


def execution_order(plan: Plan) -> Iterator[int]:
    """Yield every position of the plan once, in the order in which runs are started.

    The order depends on the study alone, not on what has been run. It takes no more memory than
    one block and the list of problems (``blocked``), four bytes a run (``shuffled``), or nothing
    (``as_designed``).
    """
    study = plan.study
    if study.run_order is RunOrder.AS_DESIGNED:
        return iter(range(len(plan)))

    rng = Random(  # noqa: S311 - an order, not a secret
        stable_json_dumps([study.study_id, study.seed_policy.base_seed, study.run_order])
    )
    if study.run_order is RunOrder.SHUFFLED:
        positions = array("I", range(len(plan)))
        rng.shuffle(positions)
        return iter(positions)

    return _blocked(plan, rng)


def _blocked(plan: Plan, rng: Random) -> Iterator[int]:
    """Replicate by replicate, problem by problem: every condition and agent, permuted."""
    problems = plan.problems()
    places = _places(plan)
    for replicate in range(max(cell.replicates for cell in plan.cells)):
        rng.shuffle(problems)
        for problem in problems:
            block: list[int] = []
            for cells, digit in places[problem]:
                for index in cells:
                    _, agents, radix, replicates, _ = plan.cells[index]
                    if replicate < replicates:
                        stride = len(radix)
                        first = plan.starts[index] + replicate * len(agents) * stride + digit
                        block += range(first, first + len(agents) * stride, stride)

            rng.shuffle(block)
            yield from block


def _places(plan: Plan) -> dict[str, list[tuple[list[int], int]]]:
    """Find each problem: the cells that hold it, and its digit there.

    Cells that have the same problems share one list, so this grows with problems, not with runs.
    """
    sharing: dict[tuple[str, ...], list[int]] = {}
    for index, cell in enumerate(plan.cells):
        sharing.setdefault(cell.problems, []).append(index)

    places: dict[str, list[tuple[list[int], int]]] = {}
    for problems, cells in sharing.items():
        for digit, problem in enumerate(problems):
            places.setdefault(problem, []).append((cells, digit))

    return places
