"""What is read of docstrings, in the styles in which people write them."""

from __future__ import annotations

import inspect

import pytest

from penstock.models.conversations.docstrings import described

GOOGLE = """Search the library.

    It is a small one.

    Args:
        query (str, optional): What is looked for,
            in words: any.
        kind: What it is.
        **others: More.

    Returns:
        Titles.
    """
NUMPY = """Search the library.

    It is a small one.

    Parameters
    ----------
    query : str, optional
        What is looked for,
        in words: any.
    kind
        What it is.
    **others : int
        More.

    Returns
    -------
    list
        Titles.
    """
SPHINX = """Search the library.

    It is a small one.

    :param str query: What is looked for,
        in words: any.
    :type query: str
    :param kind: What it is.
    :param others: More.
    :returns: Titles.
    :rtype: list
    """
EPYDOC = SPHINX.replace(":param str", "@param").replace("    :", "    @")


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX, EPYDOC])
def test_every_style_says_the_same(docstring: str) -> None:
    assert described(inspect.cleandoc(docstring)) == (
        "Search the library. It is a small one.",
        {"query": "What is looked for, in words: any.", "kind": "What it is.", "others": "More."},
    )


@pytest.mark.parametrize(
    ("docstring", "said"),
    [
        ("", ("", {})),
        ("Search.", ("Search.", {})),
        ("Search: for a word.\nThen: stop.", ("Search: for a word. Then: stop.", {})),
        ("Args:\n    a: One.\n\n    b: Two.", ("", {"a": "One.", "b": "Two."})),
        (
            "Go.\n\nParameters\n----------\na, b : int\n    Both.",
            ("Go.", {"a": "Both.", "b": "Both."}),
        ),
        ("Go.\n\nRaises:\n    ValueError: never.", ("Go.", {})),
        ("Go.\n\nKeyword Args:\n    a: One.", ("Go.", {"a": "One."})),
        ("Go.\n\nArgs:\n    a:\n        On its own line.", ("Go.", {"a": "On its own line."})),
        ("Go.\n\n:raises ValueError: never.\n:param a: One.", ("Go.", {"a": "One."})),
    ],
)
def test_what_is_said_oddly_is_read_as_it_is_meant(
    docstring: str, said: tuple[str, dict[str, str]]
) -> None:
    assert described(docstring) == said
