"""Evaluators: the port, functions as evaluators, built-in ones, judges (floor 2)."""

from __future__ import annotations

from penstock.evaluators.port import Evaluator, Scores

__all__ = ["Evaluator", "Scores"]
