"""Count how the source reads, and hold the counts to limits: ``python -m tools.count_style``.

Counted is what a reader meets: helpers that are called from one place only, long functions,
statements that do several things at once, long lines, comments, and how docstrings open.
``make check`` runs it on ``src/loopwright``. Where a count has not reached its aim yet, the limit
is the level that it has reached, so that it can only get better: lower the limit with the count.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

SIMPLE_STATEMENTS = (
    ast.AnnAssign,
    ast.Assert,
    ast.Assign,
    ast.AugAssign,
    ast.Delete,
    ast.Expr,
    ast.Raise,
    ast.Return,
)
LINE_LENGTH = 100

NO_VERB = re.compile(
    r"""
    a|all|an|any|as|at|by|each|every|everything|for|from|how|if|in|it|its|no|nobody|nothing|of|one|
    only|or|other|so|some|such|that|the|their|them|these|this|those|to|two|what|when|where|whether|
    which|who|whose|why|with|without
    """,
    re.VERBOSE,
)
"""Words that open a noun phrase or a question, in lower case."""
THIRD_PERSON = re.compile(
    r"^(?!(pass|process|compress|express|access|address|miss|cross|press|discuss|focus|bias)$)\w+s$"
)
"""Verbs in the third person (``Returns``) and most plurals."""


@dataclass
class Counts:
    """What was counted in a tree of Python files."""

    functions: list[tuple[int, str]] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    files: list[tuple[int, str]] = field(default_factory=list)
    private: list[str] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    openings: list[tuple[str, str]] = field(default_factory=list)
    long_lines: list[str] = field(default_factory=list)
    lines: int = 0
    code_lines: int = 0
    comments: int = 0

    @property
    def used_once(self) -> list[str]:
        """Private functions and methods whose name is used in one place."""
        return sorted(name for name in set(self.private) if self.names[name] == 1)

    @property
    def nouns(self) -> list[str]:
        """Docstrings of functions that do not open with a verb, as ``file:name: opening``."""
        return [f"{where}: {opening}" for where, opening in self.openings if not is_verb(opening)]


def is_verb(opening: str) -> bool:
    """Return whether a docstring's first word can be a verb in the imperative.

    This knows the words that surely are none, and leaves the rest to the reader.
    """
    word = opening.partition(" ")[0].rstrip(".,:;").lower()
    return word.isalpha() and not NO_VERB.fullmatch(word) and not THIRD_PERSON.match(word)


def count(root: Path) -> Counts:
    """Count every Python file below a folder."""
    counts = Counts()
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        name = str(path.relative_to(root))
        _count_lines(counts, name, text)
        _count_tree(counts, name, ast.parse(text))
    return counts


def _count_lines(counts: Counts, name: str, text: str) -> None:
    lines = text.splitlines()
    counts.files.append((len(lines), name))
    counts.lines += len(lines)
    counts.long_lines += [
        f"{name}:{at}" for at, line in enumerate(lines, 1) if len(line) > LINE_LENGTH
    ]
    code = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            counts.comments += not token.string.startswith(("# fmt", "# type", "# noqa"))
        elif token.type not in {
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        }:
            code.update(range(token.start[0], token.end[0] + 1))
    counts.code_lines += len(code)


def _count_tree(counts: Counts, name: str, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                counts.functions.append(
                    ((node.end_lineno or 0) - node.lineno + 1, f"{name}:{node.name}")
                )
                if node.name.startswith("_") and not node.name.startswith("__"):
                    counts.private.append(node.name)
                if (said := ast.get_docstring(node)) and not _is_property(node):
                    counts.openings.append((f"{name}:{node.name}", said.splitlines()[0]))
            case ast.Name():
                counts.names[node.id] += 1
            case ast.Attribute():
                counts.names[node.attr] += 1
            case _ if isinstance(node, SIMPLE_STATEMENTS):
                if not _is_docstring(node):
                    counts.nodes.append(sum(1 for _ in ast.walk(node)))


def _is_docstring(node: ast.AST) -> bool:
    """Return whether a statement is a docstring, or the text below a constant."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False


def _is_property(function: Function) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def _percentile(values: Sequence[int], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


@dataclass(frozen=True)
class Measure:
    """A count with its aim, and the limit that it is held to.

    Args:
        name: What is counted.
        value: The count.
        aim: The most it should be; None where any count is good.
        limit: The most it may be; None: the aim.
        unit: Of the count.
        least_aim: The least it should be.
        least_limit: The least it may be.
    """

    name: str
    value: float
    aim: float | None = None
    limit: float | None = None
    unit: str = ""
    least_aim: float | None = None
    least_limit: float | None = None

    @property
    def meets_aim(self) -> bool:
        """Whether the count is as it should be."""
        return _is_within(self.value, self.least_aim, self.aim)

    @property
    def meets_limit(self) -> bool:
        """Whether the count is as it may be."""
        least = self.least_aim if self.least_limit is None else self.least_limit
        most = self.aim if self.limit is None else self.limit
        return _is_within(self.value, least, most)

    def __str__(self) -> str:
        mark = "  " if self.meets_aim else "… " if self.meets_limit else "✗ "
        text = f"{mark}{self.value:8.4g}{self.unit:2} {self.name}"
        if self.aim is None:
            return text
        aim = f"{self.aim:g}" if self.least_aim is None else f"{self.least_aim:g} to {self.aim:g}"
        limits = [limit for limit in (self.least_limit, self.limit) if limit is not None]
        held_to = f", limit {limits[0]:g}" if limits else ""
        return f"{text} (aim {aim}{held_to})"


def _is_within(value: float, least: float | None, most: float | None) -> bool:
    return (most is None or value <= most) and (least is None or value >= least)


def measures(counts: Counts) -> Iterator[Measure]:
    """Yield the counts with their aims and limits."""
    functions = [lines for lines, _ in counts.functions]
    once = 100 * len(counts.used_once) / len(functions)
    nouns = 100 * len(counts.nouns) / max(len(counts.openings), 1)
    comments = 100 * counts.comments / counts.code_lines
    nodes = counts.nodes
    yield Measure("private functions used once, share of all functions", once, 12, unit=" %")
    yield Measure("function lines, median", statistics.median(functions), 8)
    yield Measure("function lines, 90th percentile", _percentile(functions, 0.9), 25)
    yield Measure("function lines, longest", max(functions), 60)
    yield Measure("nodes of a simple statement, median", statistics.median(nodes), 11, 12)
    yield Measure("nodes of a simple statement, 90th percentile", _percentile(nodes, 0.9), 24)
    yield Measure(f"lines over {LINE_LENGTH} columns", len(counts.long_lines), 0)
    yield Measure("comments per line of code", comments, 4, unit=" %", least_aim=2)
    yield Measure("docstrings of functions that open with no verb", nouns, 0, unit=" %")
    yield Measure("longest file, lines", max(counts.files)[0], 450)
    yield Measure("lines of source", counts.lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts; return 1 where one breaks its limit."""
    parser = argparse.ArgumentParser(description="Count how the source reads.")
    parser.add_argument("folder", nargs="?", default="src/loopwright", type=Path)
    parser.add_argument("--list", action="store_true", help="name the places as well")
    given = parser.parse_args(arguments)
    counts = count(given.folder)
    found = list(measures(counts))
    print("\n".join(map(str, found)))
    if given.list:
        print("\n".join(["", *counts.used_once, "", *counts.nouns, "", *counts.long_lines]))
        print("\n".join(f"{lines} {name}" for lines, name in sorted(counts.functions)[-15:]))
    return 0 if all(measure.meets_limit for measure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
