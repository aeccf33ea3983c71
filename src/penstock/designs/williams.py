"""Williams squares: every subject meets every treatment, and carry-over is balanced.

Source: E. J. Williams, "Experimental designs balanced for the estimation of residual effects of
treatments", Australian Journal of Scientific Research A 2 (1949), 149-168.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace

from penstock._base.suggestions import did_you_mean
from penstock.designs.design import Design, refuse_too_many
from penstock.designs.design_rows import block_combinations
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["SUBJECTS", "WILLIAMS_SQUARE", "williams_rows", "williams_square"]


def williams_square(treatments: int) -> list[list[int]]:
    """List orders of things in which each is followed by each other one equally often.

    Returns:
        ``treatments`` sequences where that number is even, twice as many where it is odd: each
        a permutation of ``range(treatments)``. In an even square each ordered pair of neighbours
        occurs once, in an odd one twice.
    """
    zigzag = [0]
    for step in range(1, treatments):
        zigzag.append((zigzag[-1] + (step if step % 2 else -step)) % treatments)

    square = [[(place + shift) % treatments for place in zigzag] for shift in range(treatments)]
    # The zigzag's differences are all distinct only where their number is odd; a square of odd
    # order is balanced together with its mirror image.
    return square if treatments % 2 == 0 else square + [row[::-1] for row in square]


def williams_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Assign every treatment to each subject, in the order of its row of a Williams square.

    A treatment is a combination of all factors but ``options.subject_factor``; subjects are the
    levels of that factor or block. A condition's metadata hold ``within_subject_order``, from 0.
    ``randomize`` deals the sequences and the treatments' names out at random; execute such a
    study with ``run_order: as_designed`` where the order within a subject matters.

    Raises:
        ValidationError: no such factor or block, or subjects that cannot share the sequences
            equally, so that neighbours would not be balanced.
    """
    subject = _subject(study, spec)
    others = [factor for factor in study.factors if factor.name != subject]
    refuse_too_many(spec, math.prod(len(factor.values()) for factor in others) ** 2)
    treatments = list(itertools.product(*(factor.values() for factor in others)))
    sequences = williams_square(len(treatments))
    subjects = _levels(study, subject)
    if len(subjects) % len(sequences):
        text = f"{len(treatments)} treatments have {len(sequences)} Williams sequences, which the"
        advice = f"cannot share equally; declare a multiple of {len(sequences)}."
        raise ValidationError([f"{text} {len(subjects)} subjects of '{subject}' {advice}"])

    if spec.randomize:
        rng = random.Random(study.seed_policy.base_seed)  # noqa: S311 - an order, not a secret
        rng.shuffle(treatments)
        rng.shuffle(sequences)

    names = [factor.name for factor in others]
    for index, level in enumerate(subjects):
        for block in _block_rows(study, subject, level):
            for order, treatment in enumerate(sequences[index % len(sequences)]):
                assigned = dict(zip(names, treatments[treatment], strict=True))
                if subject not in block:
                    assigned[subject] = level

                metadata = {"within_subject_order": order, "design_kind": str(spec.kind)}
                factors = {each.name: assigned[each.name] for each in study.factors}
                yield DesignRow(factors, block, metadata)


def _subject(study: Study, spec: DesignSpec) -> str:
    name = spec.options.get("subject_factor")
    known = [*(factor.name for factor in study.factors), *(block.name for block in study.blocks)]
    if name in known:
        return str(name)

    hint = did_you_mean(str(name), known, f"; known: {', '.join(known) or 'none'}.")
    said = "is missing" if name is None else f"{name!r} is not a factor or block of the study"
    raise ValidationError([f"Design {spec.kind}: options['subject_factor'] {said}{hint}"])


def _levels(study: Study, name: str) -> tuple[object, ...]:
    for factor in study.factors:
        if factor.name == name:
            return factor.values()

    return next(block.levels for block in study.blocks if block.name == name)


def _block_rows(study: Study, subject: str, level: object) -> Iterator[dict[str, object]]:
    """Yield the combinations of blocks that a subject is in: all, or those of its own level."""
    for block in block_combinations(study):
        if subject not in block or stable_json_dumps(block[subject]) == stable_json_dumps(level):
            yield block


WILLIAMS_SQUARE = Design(
    kind="williams_square",
    rows=williams_rows,
    options={"subject_factor": str},
    own=frozenset({"randomize"}),
)

SUBJECTS = replace(WILLIAMS_SQUARE, kind="repeated_measures")
"""What ``repeated_measures`` is where the study names its subjects."""
