"""Toy networks that answer by plain arithmetic on the pixels, and scenes and clips that they understand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from plateloop.runtime.card import Card, Input, Task, Training, save_card

TASKS: tuple[Task, ...] = ("tcnet", "lpdnet", "lprnet", "colornet")


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of toy networks that keep the contract and answer by plain arithmetic on the pixels.

    tcnet finds one car in each half of its input: the box around what is blue and not red, score 0.9. lpdnet
    finds one plate: the box around what is red, score 0.8. lprnet reads the digit 9 × (mean green / 255),
    region "toy", without a margin. colornet names the strongest of red, green, blue.
    """
    folder = tmp_path_factory.mktemp("toy")
    for task in TASKS:
        _toy_network(task, folder)
    return folder


@pytest.fixture(scope="session")
def toy_scene() -> Callable[[int | None], np.ndarray]:
    """``toy_scene(left)``: a picture (384, 640, 3) for the toy networks, a blue car from column ``left`` on
    with a red plate that reads 5; None: an empty street."""

    def draw(left: int | None) -> np.ndarray:
        rgb = np.full((384, 640, 3), 20, np.uint8)
        if left is not None:
            rgb[80:300, left : left + 200] = (0, 0, 255)
            rgb[240:270, left + 60 : left + 140] = (255, 142, 0)
        return rgb

    return draw


@pytest.fixture(scope="session")
def toy_clip(toy_scene: Callable[[int | None], np.ndarray]) -> Callable[..., Path]:
    """``toy_clip(path, lefts, rate=10, preset="medium", movflags=None, began=None)``: a toy scene for each of
    ``lefts`` as a video."""

    def write(
        path: Path,
        lefts: Iterable[int | None],
        rate: int = 10,
        preset: str = "medium",
        movflags: str | None = None,
        began: str | None = None,
    ) -> Path:
        with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as writer:
            if began is not None:
                writer.metadata["creation_time"] = began
            stream = writer.add_stream("libx264", rate=rate, options={"crf": "10", "preset": preset})
            stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv420p"
            for left in lefts:
                writer.mux(stream.encode(av.VideoFrame.from_ndarray(toy_scene(left), format="rgb24")))
            writer.mux(stream.encode(None))
        return path

    return write


_TOYS: dict[Task, dict[str, Any]] = {
    "tcnet": {
        "input": Input(width=640, height=384, resize="letterbox"),
        "outputs": ("boxes", "scores"),
        "labels": ("car", "bus", "truck", "motorcycle"),
    },
    "lpdnet": {
        "input": Input(width=288, height=256, resize="letterbox", margin=0.05),
        "outputs": ("boxes", "scores", "corners"),
        "labels": ("plate",),
    },
    "lprnet": {
        "input": Input(width=160, height=64, resize="stretch"),
        "outputs": ("logits", "regions"),
        "alphabet": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "regions": ("toy", "other"),
    },
    "colornet": {
        "input": Input(width=128, height=128, resize="stretch"),
        "outputs": ("logits",),
        "labels": ("red", "green", "blue"),
    },
}

_BOX_AROUND_MASK = """
    columns = ReduceMax <axes = [2], keepdims = 0> (mask)
    rows = ReduceMax <axes = [3], keepdims = 0> (mask)
    from_right = Mul (columns, to_right)
    from_left = Mul (columns, to_left)
    from_bottom = Mul (rows, to_bottom)
    from_top = Mul (rows, to_top)
    most_right = ReduceMax <axes = [2]> (from_right)
    most_bottom = ReduceMax <axes = [2]> (from_bottom)
    x1 = Sub (width, most_right)
    y1 = Sub (height, most_bottom)
    x2 = ReduceMax <axes = [2]> (from_left)
    y2 = ReduceMax <axes = [2]> (from_top)
    boxes = Concat <axis = 2> (x1, y1, x2, y2)
    seen = ReduceMax <axes = [2]> (columns)
    scores = Mul (seen, weights)
"""

_GRAPHS: dict[Task, str] = {
    "tcnet": f"""(float[N, 3, 384, 640] images) => (float[N, 2, 4] boxes, float[N, 2, 4] scores) {{
    red = Gather <axis = 1> (images, channel_0)
    blue = Gather <axis = 1> (images, channel_2)
    is_red = Greater (red, half)
    not_red = Not (is_red)
    is_blue = Greater (blue, half)
    is_car = And (is_blue, not_red)
    car = Cast <to = 1> (is_car)
    mask = Mul (car, halves)
    {_BOX_AROUND_MASK}
}}""",
    "lpdnet": f"""(float[N, 3, 256, 288] images)
        => (float[N, 1, 4] boxes, float[N, 1, 1] scores, float[N, 1, 8] corners) {{
    red = Gather <axis = 1> (images, channel_0)
    is_red = Greater (red, half)
    mask = Cast <to = 1> (is_red)
    {_BOX_AROUND_MASK}
    corners = Concat <axis = 2> (x1, y1, x2, y1, x2, y2, x1, y2)
}}""",
    "lprnet": """(float[N, 3, 64, 160] images) => (float[N, 80, 37] logits, float[N, 2] regions) {
    means = ReduceMean <axes = [2, 3]> (images)
    green = Gather <axis = 1> (means, channel_1)
    level = Squeeze (green, axis_3)
    nine_times = Mul (level, nine)
    away = Sub (digits, nine_times)
    squared = Mul (away, away)
    penalty = Mul (squared, steepness)
    at_step = Mul (penalty, step)
    logits = Add (at_step, blanks)
    flat = Squeeze (level, axis_2)
    nothing = Mul (flat, zeros)
    regions = Add (nothing, toy)
}""",
    "colornet": """(float[N, 3, 128, 128] images) => (float[N, 3] logits) {
    means = ReduceMean <axes = [2, 3], keepdims = 0> (images)
    logits = Mul (means, ten)
}""",
}


def _constants(task: Task) -> dict[str, Any]:
    card = _TOYS[task]["input"]
    columns, rows = np.arange(card.width, dtype=np.float32), np.arange(card.height, dtype=np.float32)
    left = (columns < card.width / 2).astype(np.float32)
    blanks = np.zeros((1, 80, 37), np.float32)
    blanks[:, :, 0] = 10
    blanks[:, 3, 0] = 0
    return {
        "channel_0": np.array([0]),
        "channel_1": np.array([1]),
        "channel_2": np.array([2]),
        "axis_2": np.array([2]),
        "axis_3": np.array([3]),
        "half": np.float32(0.5),
        "width": np.float32(card.width),
        "height": np.float32(card.height),
        "to_right": card.width - columns,
        "to_left": columns + 1,
        "to_bottom": card.height - rows,
        "to_top": rows + 1,
        "halves": np.stack([left, 1 - left])[None, :, None, :],
        "weights": np.array([0.9, 0, 0, 0] if task == "tcnet" else [0.8], np.float32),
        "nine": np.float32(9),
        "digits": np.array([99, *range(10), *[99] * 26], np.float32),
        "steepness": np.float32(-20),
        "step": (np.arange(80) == 3).astype(np.float32)[None, :, None],
        "blanks": blanks,
        "zeros": np.zeros(2, np.float32),
        "toy": np.array([5, 0], np.float32),
        "ten": np.float32(10),
    }


def _toy_network(task: Task, folder: Path) -> None:
    from onnx import numpy_helper, parser, save

    header = '<ir_version: 8, opset_import: ["" : 17]>'
    model = parser.parse_model(f"{header} {task} {_GRAPHS[task]}")
    used = {name for node in model.graph.node for name in node.input}
    for name, values in _constants(task).items():
        if name in used:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    save(model, folder / f"{task}.onnx")
    card = Card(
        task=task,
        description="a toy for tests",
        onnx=f"{task}.onnx",
        sha256=hashlib.sha256((folder / f"{task}.onnx").read_bytes()).hexdigest(),
        gflops=0.0,
        parameters=0,
        training=Training(
            sources={}, samples=0, recipe={}, started_from=None, seed=0, date="", hardware="", minutes=0
        ),
        **_TOYS[task],
    )
    save_card(card, folder / f"{task}.yaml")
