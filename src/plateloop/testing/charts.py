"""Figures of test results, as PNG files or within a page."""

from __future__ import annotations

from typing import Any

from plateloop.errors import UserError


def figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of a size in inches; nothing of pyplot's state is touched.

    Raises UserError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UserError("the plots need matplotlib: pip install 'plateloop[test]'") from None
    return Figure((width, height), layout="constrained")


def statistics() -> Any:
    """The module ``scipy.stats``. Raises UserError where it is not installed."""
    try:
        import scipy.stats
    except ModuleNotFoundError:
        raise UserError("this test needs SciPy: pip install 'plateloop[test]'") from None
    return scipy.stats
