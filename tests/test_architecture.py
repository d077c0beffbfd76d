"""The arrows between the parts, and what importing costs: by the source, and by what really got loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import plateloop

SOURCE = Path(plateloop.__file__).parent
FOUNDATION = {"types", "geometry", "header", "frame", "errors", "text", "cores", "passwords", "files"}
ALLOWED = {
    "types": {"errors"},
    "errors": set(),
    "text": set(),
    "cores": set(),
    "passwords": set(),
    "files": set(),
    "web": {"errors"},
    "cluster": {"errors"},
    "geometry": {"types", "errors"},
    "header": set(),
    "frame": {"types", "geometry", "header", "errors"},
    "weights": set(),
    "runtime": FOUNDATION | {"weights"},
    "networks": FOUNDATION,
    "data_preparation": FOUNDATION | {"runtime", "web", "cluster"},
    "training": FOUNDATION | {"runtime", "networks", "data_preparation"},
    "deployment": FOUNDATION | {"runtime", "data_preparation", "web", "cluster"},
    "testing": FOUNDATION | {"runtime", "deployment", "data_preparation"},
    "cli": None,
}
"""What each part may import of ours; cli anything, and nothing may import cli."""

WITH_TORCH = {"networks", "training"}


def imports(path: Path, everywhere: bool = True) -> Iterator[str]:
    """The modules that a file imports; unless ``everywhere`` only when it is loaded itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not typing_only and (everywhere or not inner):
            waiting.extend(ast.iter_child_nodes(node))


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(SOURCE.rglob("*.py")) if part(path) not in ("__init__", "__main__")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_point_as_the_design_says(path: Path) -> None:
    own = part(path)
    assert own in ALLOWED, f"{own}: the design knows no such part"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "torch":
            assert own in WITH_TORCH | {"cli"}, f"{path.name} imports torch"
        if top == "plateloop" and rest:
            other = rest.split(".")[0]
            if other in plateloop.__all__ or other == "__version__" or other == own:
                continue
            assert other != "cli", f"{path.name} imports {name}"
            allowed = ALLOWED[own]
            assert allowed is None or other in allowed, f"{own} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if part(path) == "cli"], ids=lambda path: path.name)
def test_commands_load_heavy_modules_only_when_they_run(path: Path) -> None:
    heavy = {"torch", "numpy", "cv2", "av", "onnxruntime", "onnx", "pydantic"}
    assert not heavy & {name.split(".")[0] for name in imports(path, everywhere=False)}


def loaded_by(statement: str) -> set[str]:
    """The top modules and our own modules that are loaded after ``statement`` in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_plateloop_loads_nothing_heavy() -> None:
    assert not loaded_by("import plateloop") & {
        "torch",
        "av",
        "cv2",
        "onnxruntime",
        "numpy",
        "pydantic",
        "typer",
    }


def test_the_runtime_needs_no_torch() -> None:
    loaded = loaded_by("from plateloop import *; import plateloop.deployment.overlay")
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "onnx", "matplotlib", "PIL"}


def test_the_command_line_starts_light() -> None:
    loaded = loaded_by("import plateloop.cli.main")
    assert not loaded & {"torch", "av", "cv2", "onnxruntime", "numpy", "pydantic"}


def test_all_that_is_public_is_there() -> None:
    for name in plateloop.__all__:
        assert getattr(plateloop, name).__name__ == name
    assert set(plateloop.__all__) <= set(dir(plateloop))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        plateloop.Nothing  # noqa: B018
