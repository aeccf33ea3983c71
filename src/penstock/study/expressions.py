"""Constraint expressions: a small safe part of Python over the names of factors and blocks.

Evaluated by simpleeval, which bounds powers, the length of texts and what attributes may be
read; here its operators and functions are narrowed to what a constraint needs. ``and`` and
``or`` stop early, so ``a != 0 and 1 / a > 0`` is a sound constraint.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import simpleeval

from penstock.errors import ExpressionError

__all__ = ["compile_expression"]

_MAX_LENGTH = 10_000

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: simpleeval.safe_add,
    ast.Sub: operator.sub,
    ast.Mult: simpleeval.safe_mult,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
_FUNCTIONS = {"len": len, "int": int, "float": float, "str": str, "bool": bool}


class _Evaluator(simpleeval.EvalWithCompoundTypes):  # type: ignore[misc]  # untyped library
    """The nodes a constraint may be made of; comprehensions and conditionals are not among them."""

    def __init__(self) -> None:
        super().__init__(operators=_OPERATORS, functions=_FUNCTIONS)
        for node in (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.IfExp, ast.JoinedStr):
            self.nodes.pop(node, None)


def compile_expression(expression: str) -> Callable[[Mapping[str, Any]], bool]:
    """Turn an expression into a function from names and values to true or false.

    Raises:
        ExpressionError: at once where the text is no expression; from the function where a name
            is unknown, an operation is not allowed, or the value is neither true nor false.
    """
    if len(expression) > _MAX_LENGTH:
        raise ExpressionError(f"an expression may have {_MAX_LENGTH} characters at most")

    evaluator = _Evaluator()
    try:
        tree = evaluator.parse(expression.strip())
    except (SyntaxError, ValueError, simpleeval.InvalidExpression) as error:
        raise ExpressionError(f"{expression!r} is not an expression: {error}") from error
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deep") from None

    def evaluate(names: Mapping[str, Any]) -> bool:
        evaluator.names = names
        try:
            value = evaluator.eval(expression, previously_parsed=tree)
        except simpleeval.NameNotDefined as error:
            raise ExpressionError(
                f"Unknown variable {error.name!r} in constraint expression; "
                f"known: {', '.join(sorted(map(str, names)))}"
            ) from error
        except (RecursionError, MemoryError):
            raise ExpressionError("the expression is nested too deep") from None
        except Exception as error:
            raise ExpressionError(f"{expression!r} cannot be evaluated: {error}") from error

        if not isinstance(value, bool):
            raise ExpressionError(
                "Constraint expression must evaluate to a boolean value; "
                f"{expression!r} gave {value!r}"
            )

        return value

    return evaluate
