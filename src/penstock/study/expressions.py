"""Constraint expressions: a small safe part of Python over the names of factors and blocks.

The text is checked once, against a list of what a constraint may be made of, and then evaluated by
simpleeval for each condition. Nothing in it can grow: arithmetic is for numbers alone, there are
no powers and no methods. ``and`` and ``or`` stop early, so ``a != 0 and 1 / a > 0`` is a sound
constraint. What they and ``not`` combine must be true or false: ``tone == 'a' or 'b'`` would hold
always, and says so.
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
_SHOWN_LENGTH = 200


def _arithmetic(symbol: str, operation: Callable[..., Any]) -> Callable[..., Any]:
    """Restrict an operation to numbers: ``'a' * 10`` and ``'%9d' % 1`` could fill the memory."""

    def apply(*operands: Any) -> Any:
        for operand in operands:
            if not isinstance(operand, (int, float)):
                raise TypeError(f"`{symbol}` is for numbers, not for {operand!r}")

        return operation(*operands)

    return apply


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: simpleeval.safe_add,
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _arithmetic("*", operator.mul),
    ast.Div: _arithmetic("/", operator.truediv),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.USub: _arithmetic("-", operator.neg),
    ast.UAdd: _arithmetic("+", operator.pos),
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
_FUNCTIONS = {"len": len, "int": int, "float": float, "str": str, "bool": bool}
_NODES = (
    *_OPERATORS,
    ast.Not,
    *(ast.And, ast.Or, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare),
    *(ast.Constant, ast.Name, ast.Load, ast.Attribute, ast.Subscript),
    *(ast.List, ast.Tuple, ast.Set, ast.Dict),
)


class _Evaluator(simpleeval.EvalWithCompoundTypes):  # type: ignore[misc]  # untyped library
    """simpleeval, with attributes read as items of mappings, and ``and``, ``or``, ``not`` typed."""

    def __init__(self) -> None:
        super().__init__(operators=_OPERATORS, functions=dict(_FUNCTIONS))
        self.nodes[ast.Attribute] = self._item
        self.nodes[ast.BoolOp] = self._all_or_any
        self.nodes[ast.Name] = self._variable
        self.nodes[ast.UnaryOp] = self._unary

    def _all_or_any(self, node: ast.BoolOp) -> bool:
        decisive = isinstance(node.op, ast.Or)
        for operand in node.values:
            if self._truth(operand, node) is decisive:
                return decisive

        return not decisive

    def _unary(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self._truth(node.operand, node)

        return self._eval_unaryop(node)

    def _truth(self, operand: ast.expr, of: ast.expr) -> bool:
        value = self._eval(operand)
        if isinstance(value, bool):
            return value

        raise ExpressionError(_not_a_truth(repr(value), of))

    def _variable(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]

        if node.id in _FUNCTIONS:
            raise ExpressionError(f"`{node.id}` is a function; write `{node.id}(...)`")

        raise simpleeval.NameNotDefined(node.id, "")

    def _item(self, node: ast.Attribute) -> Any:
        owner = self._eval(node.value)
        if isinstance(owner, Mapping) and node.attr in owner:
            return owner[node.attr]

        raise ExpressionError(f"{owner!r} has no `{node.attr}`")


def compile_expression(expression: str) -> Callable[[Mapping[str, Any]], bool]:
    """Turn an expression into a function from names and values to true or false.

    Raises:
        ExpressionError: at once where the text is not an expression, or holds what is not allowed;
            from the function where a name is unknown, an operation fails, or the value is
            neither true nor false.
    """
    tree = _parse(expression)
    evaluator = _Evaluator()

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
            raise ExpressionError(f"{_shown(expression)} cannot be evaluated: {error}") from error

        if not isinstance(value, bool):
            raise ExpressionError(
                "Constraint expression must evaluate to a boolean value; "
                f"{_shown(expression)} gave {value!r}"
            )

        return value

    return evaluate


def _parse(expression: str) -> ast.expr:
    if len(expression) > _MAX_LENGTH:
        raise ExpressionError(f"an expression may have {_MAX_LENGTH} characters at most")

    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"{_shown(expression)} is not an expression: {error}") from error
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deep") from None

    try:
        refusals = [refusal for node in ast.walk(tree) if (refusal := _refusal(node)) is not None]
    except RecursionError:
        raise ExpressionError("the expression is nested too deep") from None

    if refusals:
        raise ExpressionError(f"{refusals[0]} (in {_shown(expression)})")

    return tree


def _shown(expression: str) -> str:
    return repr(_cut(expression))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _refusal(node: ast.AST) -> str | None:
    """Return why a constraint may not hold this part of an expression; None where it may."""
    if isinstance(node, ast.Call):
        return _call_refusal(node)

    if isinstance(node, ast.BoolOp | ast.UnaryOp):
        return _operand_refusal(node)

    if isinstance(node, ast.Dict) and None in node.keys:
        return "Dictionary unpacking is not allowed in constraints."

    if isinstance(node, _NODES):
        return None

    what = "comparison operator" if isinstance(node, ast.cmpop) else "expression node"
    return f"Unsupported {what}: {type(node).__name__}"


def _operand_refusal(node: ast.BoolOp | ast.UnaryOp) -> str | None:
    """Refuse a literal where something true or false is due, whether it is reached or not."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return _refusal(node.op)

    for operand in node.values if isinstance(node, ast.BoolOp) else [node.operand]:
        if isinstance(operand, ast.Constant) and not isinstance(operand.value, bool):
            return _not_a_truth(ast.unparse(operand), node)

        if isinstance(operand, ast.List | ast.Tuple | ast.Set | ast.Dict):
            return _not_a_truth(ast.unparse(operand), node)

    return None


def _not_a_truth(given: str, node: ast.expr) -> str:
    word = "not"
    if isinstance(node, ast.BoolOp):
        word = "or" if isinstance(node.op, ast.Or) else "and"

    said = f"`{word}` combines what is true or false, and {_cut(given)} is neither"
    meant = _membership(node) if isinstance(node, ast.BoolOp) else None
    return f"{said}; did you mean `{meant}`?" if meant else f"{said}; compare it with something"


def _membership(node: ast.BoolOp) -> str | None:
    """Guess what ``tone == 'a' or 'b'`` and ``tone != 'a' and 'b'`` mean: a test of membership."""
    name, word = "", "in"
    values: list[str] = []
    for operand in node.values:
        match operand:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as op], comparators=[value]):
                name, values = ast.unparse(left), [*values, ast.unparse(value)]
                word = "in" if isinstance(op, ast.Eq) else "not in"
            case ast.Constant():
                values.append(ast.unparse(operand))
            case _:
                return None

    if word == "in" and isinstance(node.op, ast.And):
        return None

    guess = f"{name} {word} [{', '.join(values)}]".strip()
    return guess if len(guess) <= _SHOWN_LENGTH else None


def _call_refusal(node: ast.Call) -> str | None:
    if not isinstance(node.func, ast.Name):
        return "Only direct function names are allowed in constraints."

    if node.func.id not in _FUNCTIONS:
        known = ", ".join(_FUNCTIONS)
        return f"Function '{node.func.id}' is not allowed in constraints; allowed: {known}."

    if node.keywords:
        return "Keyword arguments are not allowed in constraint function calls."

    return None
