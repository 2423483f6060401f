"""What the counting of style counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.count_style import Counts, Measure, count, is_verb, main, measures

SOURCE = '''"""A module."""

LIMIT = 3
"""Words below a constant are no statement."""


class Box:
    """A box."""

    def open(self):
        """The lid is lifted."""
        return _lift(self) + _look(self)  # why it is looked at

    @property
    def size(self):
        """The size."""
        return _look(self)

    def __len__(self):
        return 1


def _lift(box):
    """Lift the lid."""
    return box


def _look(box):
    # fmt: skip
    return box
'''


@pytest.fixture
def counts(tmp_path: Path) -> Counts:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "box.py").write_text(SOURCE)
    (tmp_path / "wide.py").write_text(f"x = 1\ny = {'1' * 100}\n")
    return count(tmp_path)


def test_private_functions_used_in_one_place(counts: Counts) -> None:
    assert counts.used_once == ["_lift"]


def test_functions_by_their_lines(counts: Counts) -> None:
    assert sorted(counts.functions) == [
        (2, "inner/box.py:__len__"),
        (3, "inner/box.py:_lift"),
        (3, "inner/box.py:_look"),
        (3, "inner/box.py:open"),
        (3, "inner/box.py:size"),
    ]


def test_docstrings_that_open_with_no_verb(counts: Counts) -> None:
    """Those of properties are not counted: they say what the property is."""
    assert counts.nouns == ["inner/box.py:open: The lid is lifted."]


def test_comments_and_lines(counts: Counts) -> None:
    assert counts.comments == 1
    assert counts.long_lines == ["wide.py:2"]
    assert counts.lines == len(SOURCE.splitlines()) + 2
    assert max(counts.files) == (len(SOURCE.splitlines()), "inner/box.py")


def test_nodes_of_statements(counts: Counts) -> None:
    """`return 1` has two, itself and the number; a name has one, and another for its use."""
    returns, assignments = [2, 3, 3, 6, 13], [4, 4, 4]
    assert sorted(counts.nodes) == sorted(returns + assignments)


@pytest.mark.parametrize("opening", ["Return the seam.", "Process it.", "Let go.", "Undo: again."])
def test_openings_that_may_be_verbs(opening: str) -> None:
    assert is_verb(opening)


@pytest.mark.parametrize(
    "opening", ["The seam.", "Returns it.", "What it is.", "``median`` of it", "Seconds of it."]
)
def test_openings_that_are_no_verbs(opening: str) -> None:
    assert not is_verb(opening)


def test_a_limit_is_held_where_the_aim_is_not_met() -> None:
    within = Measure("x", 5, aim=4, limit=6)
    assert (within.meets_aim, within.meets_limit) == (False, True)
    assert not Measure("x", 7, aim=4, limit=6).meets_limit
    assert not Measure("x", 5, aim=4).meets_limit
    few = Measure("x", 1.5, aim=4, least_aim=2, least_limit=1)
    assert (few.meets_aim, few.meets_limit) == (False, True)
    assert not Measure("x", 0.5, aim=4, least_aim=2, least_limit=1).meets_limit
    assert Measure("x", 9).meets_limit


def test_a_broken_limit_is_shown_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"    x{number} = {number}  # as it is\n" for number in range(100))
    (tmp_path / "long.py").write_text(f"def run():\n{lines}def stop():\n    return 1\n")
    assert main([str(tmp_path), "--list"]) == 1
    said = capsys.readouterr().out
    assert "✗      101   function lines, longest (aim 60)" in said
    assert "101 long.py:run" in said


def test_every_measure_with_a_limit_of_its_own_is_behind_its_aim(counts: Counts) -> None:
    for measure in measures(counts):
        assert measure.limit is None or measure.limit > (measure.aim or 0)
