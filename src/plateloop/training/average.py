"""The mean of two trainings' weights, where the second started from the first.

Between weights before and after a further training, the loss mostly stays as low as at its ends, and a point
in between keeps what the first did well and has learnt some of what the second did (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from plateloop.errors import UserError
from plateloop.runtime.card import Card, file_sha256, load_card, onnx_path, save_card
from plateloop.runtime.session import Session
from plateloop.training.tuning.objective import val_judge


def mean_graph(before: Path, after: Path, share: float) -> onnx.ModelProto:
    """The graph at ``after`` with each float parameter ``share`` · after + (1 - ``share``) · before.

    Raises UserError where the two do not have the same parameters.
    """
    first, model = onnx.load(before), onnx.load(after)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in first.graph.initializer}
    own = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    if {name: array.shape for name, array in known.items()} != {name: a.shape for name, a in own.items()}:
        raise UserError(f"{before}: its parameters are not those of {after}; average needs the same network")
    for tensor in model.graph.initializer:
        array = own[tensor.name]
        if array.dtype == np.float32:
            mean = (share * array + (1 - share) * known[tensor.name]).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(mean, tensor.name))
    return model


def average(before: Path, after: Path, share: float, data: Path, out: Path) -> tuple[Card, tuple[float, ...]]:
    """Write the mean of the networks of two cards into ``out/TASK.onnx`` with a card.

    ``share`` 0 to 1 is that of ``after``, whose card the new one is but for its figures, measured on val of
    ``data``, and tcnet's threshold, chosen there. Returns the card and the figures on val of before, after
    and the mean. Raises UserError where the two cards are not of one network, both FP32.
    """
    cards = load_card(before), load_card(after)
    same = ("task", "outputs", "labels", "regions", "alphabet", "precision", "input")
    differing = [name for name in same if getattr(cards[0], name) != getattr(cards[1], name)]
    if differing or cards[0].precision != "fp32":
        why = f"differ in {', '.join(differing)}" if differing else f"are {cards[0].precision}, not fp32"
        raise UserError(f"{before} and {after} {why}; average needs two trainings of one network")
    first, second = cards
    model = mean_graph(onnx_path(before, first), onnx_path(after, second), share)
    judge = val_judge(second.task, data)
    ends = [judge(Session(path)).figure for path in (before, after)]
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{second.task}.onnx"
    onnx.save(model, file)
    recipe = second.training.recipe | {"average": {"before": first.sha256, "share": share}}
    card = second.model_copy(
        update={
            "onnx": file.name,
            "sha256": file_sha256(file),
            "training": second.training.model_copy(update={"recipe": recipe}),
            "metrics": {},
        }
    )
    path = file.with_suffix(".yaml")
    save_card(card, path)
    verdict = judge(Session(path))
    update: dict[str, object] = {"metrics": verdict.report}
    if card.task == "tcnet":
        update["score_threshold"] = round(verdict.report["val/all"]["best_threshold"], 3)
    card = card.model_copy(update=update)
    save_card(card, path)
    return card, (*ends, verdict.figure)
