"""Count how the source reads, and hold the counts to limits: ``python -m tools.count_style [folder]``.

What is counted is what a reader meets: helpers that are called from one place only, long functions, statements that do
several things at once, long lines, comments, and how docstrings open. ``make check`` runs it on ``src/loopwright``.
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
    ast.Assert, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete, ast.Expr, ast.Raise, ast.Return,
)  # fmt: skip
LINE_LENGTH = 100

NO_VERBS = frozenset(
    [
        "a",
        "all",
        "an",
        "any",
        "as",
        "at",
        "by",
        "each",
        "every",
        "everything",
        "for",
        "from",
        "how",
        "if",
        "in",
        "it",
        "its",
        "no",
        "nobody",
        "nothing",
        "of",
        "one",
        "only",
        "or",
        "other",
        "so",
        "some",
        "such",
        "that",
        "the",
        "their",
        "them",
        "these",
        "this",
        "those",
        "to",
        "two",
        "what",
        "when",
        "where",
        "whether",
        "which",
        "who",
        "whose",
        "why",
        "with",
        "without",
    ]
)
"""Words that open a noun phrase or a question. Capitals are not looked at."""
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
        """Private functions and methods whose name is used in one place only."""
        return sorted(name for name in set(self.private) if self.names[name] == 1)

    @property
    def nouns(self) -> list[str]:
        """Docstrings of functions that do not open with a verb, as `file:name: opening`."""
        return [f"{where}: {opening}" for where, opening in self.openings if not is_verb(opening)]


def is_verb(opening: str) -> bool:
    """Return whether a docstring's first word can be a verb in the imperative.

    Rules of grammar only go so far: this knows what is surely none, and leaves the rest to the reader.
    """
    word = opening.partition(" ")[0].rstrip(".,:;").lower()
    return word.isalpha() and word not in NO_VERBS and not THIRD_PERSON.match(word)


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
    """Return whether a statement is a text of its own: a docstring, or the words below a constant."""
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
    """A number, how it is shown, and the most it may be (None: no limit)."""

    name: str
    value: float
    most: float | None = None
    unit: str = ""
    least: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the number is within its limits."""
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )


def measures(counts: Counts) -> Iterator[Measure]:
    """Return the numbers with their limits."""
    functions = [lines for lines, _ in counts.functions]
    share = 100 * len(counts.used_once) / len(functions)
    yield Measure("private functions used once, share of all functions", share, 12, " %")
    yield Measure("function lines, median", statistics.median(functions), 8)
    yield Measure("function lines, 90th percentile", _percentile(functions, 0.9), 25)
    yield Measure("function lines, longest", max(functions), 60)
    yield Measure("nodes of a simple statement, median", statistics.median(counts.nodes), 11)
    yield Measure(
        "nodes of a simple statement, 90th percentile", _percentile(counts.nodes, 0.9), 24
    )
    yield Measure(f"lines over {LINE_LENGTH} columns", len(counts.long_lines), 0)
    yield Measure(
        "comments per line of code", 100 * counts.comments / counts.code_lines, 4, " %", least=2
    )
    yield Measure(
        "docstrings of functions that open with no verb",
        100 * len(counts.nouns) / len(counts.openings),
        0,
        " %",
    )
    yield Measure("longest file, lines", max(counts.files)[0], 450)
    yield Measure("lines of source", counts.lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and what breaks a limit; return 1 where anything does."""
    parser = argparse.ArgumentParser(description="Count how the source reads.")
    parser.add_argument("folder", nargs="?", default="src/loopwright", type=Path)
    parser.add_argument("--list", action="store_true", help="name the places as well")
    given = parser.parse_args(arguments)
    counts = count(given.folder)
    failed = 0
    for measure in measures(counts):
        failed += not measure.is_met
        limit = "" if measure.most is None else f"(at most {measure.most:g})"
        if measure.least is not None:
            limit = f"({measure.least:g} to {measure.most:g})"
        print(
            f"{'  ' if measure.is_met else '✗ '}{measure.value:8.4g}{measure.unit:2} {measure.name} {limit}"
        )
    if given.list:
        print("\n".join(["", *counts.used_once, "", *counts.nouns, "", *counts.long_lines]))
        print("\n".join(f"{lines} {name}" for lines, name in sorted(counts.functions)[-15:]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
