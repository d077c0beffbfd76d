"""The notebooks run as they stand, cell by cell, and their last expressions can be shown."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from plateloop.testing.notebook import Png, Rows

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def run(name: str) -> list[Any]:
    """Execute a notebook's code cells in one namespace; the values of the cells that end in an expression."""
    notebook = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    space: dict[str, Any] = {"__name__": "__main__"}
    values = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [] and cell["execution_count"] is None, "commit notebooks without outputs"
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), space)
        if isinstance(last, ast.Expr):
            values.append(eval(compile(ast.Expression(last.value), name, "eval"), space))
    return values


@pytest.mark.parametrize("name", ["accuracy.ipynb", "compare.ipynb", "production.ipynb"])
def test_the_notebook_runs(name: str, package_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOKS)
    shown = [value for value in run(name) if isinstance(value, Rows | Png)]
    assert shown
    for value in shown:
        if isinstance(value, Rows):
            assert value.rows and "<table>" in value._repr_html_()
        else:
            assert value._repr_png_().startswith(b"\x89PNG")


def test_every_notebook_is_run_here() -> None:
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == {
        "accuracy.ipynb",
        "compare.ipynb",
        "production.ipynb",
    }
