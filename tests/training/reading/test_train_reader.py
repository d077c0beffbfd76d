"""The reader learns: 8 synthetic plates by heart; and its figures are figured right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plateloop.data_preparation.synthetic.render import render
from plateloop.networks.ctc import ctc_loss, step_loss, step_targets
from plateloop.networks.lprnet import ALPHABET, HEIGHT, WIDTH, LPRNet
from plateloop.runtime.card import Card, Input, Training
from plateloop.runtime.lprnet import decode
from plateloop.text import edit_distance
from plateloop.training.reading.evaluate import confusions, score
from plateloop.training.reading.geometry import char_places
from plateloop.training.reading.plate_pool import slot_of
from plateloop.types import Reading


def _card() -> Card:
    return Card(
        task="lprnet",
        description="",
        onnx="",
        sha256="",
        input=Input(width=WIDTH, height=HEIGHT, resize="stretch", margin=0.06),
        outputs=("logits", "regions"),
        alphabet=ALPHABET,
        regions=("NL",),
        gflops=0,
        parameters=0,
        training=Training(sources={}, samples=0, recipe={}, seed=0, date="", hardware="", minutes=0),
    )


def test_learns_a_few_plates_by_heart() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng, slots = np.random.default_rng(0), []
    while len(slots) < 8:
        plate = render(rng, margin=0.0)
        if 1 <= len(plate.text) <= 12:
            slots.append(slot_of(plate))
    records = np.stack(slots)
    images = torch.from_numpy(records["image"].transpose(0, 3, 1, 2).copy()).float() / 255
    classes = torch.from_numpy(records["classes"].astype(np.int64))
    whole = torch.tensor([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT], [0.0, HEIGHT]]).expand(8, 4, 2)
    centers, widths = char_places(torch.from_numpy(records["char_sides"].copy()), whole)
    steps = step_targets(centers, widths, torch.from_numpy(records["char_rows"].astype(np.int64)), classes)
    network = LPRNet(1, dropout=0.0)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    lengths, told = (classes > 0).sum(1), torch.zeros(8, dtype=torch.bool)
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 10)
        logits = network(images)["logits"]
        loss = ctc_loss(logits, classes, lengths, told).mean() + step_loss(logits, steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5)
        optimizer.step()
    with torch.inference_mode():
        outputs = {name: value.numpy() for name, value in network(images).items()}
    truths = ["".join(ALPHABET[c - 1] for c in row if c) for row in records["classes"].tolist()]
    assert score(truths, decode(outputs, _card()))["exact"] >= 0.75


@pytest.mark.parametrize(("a", "b", "distance"), [("", "AB", 2), ("KITTEN", "SITTING", 3), ("A1", "A1", 0)])
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def _reading(text: str, confidence: float) -> Reading:
    return Reading(text, confidence, (confidence,) * len(text), np.zeros((len(text), 36), np.float32))


def test_figures() -> None:
    truths = ["AB12", "CD0", "EF3"]
    readings = [_reading("AB12", 1.0), _reading("CDO", 0.0), _reading("EF", 0.0)]
    figures = score(truths, readings)
    assert figures["exact"] == pytest.approx(1 / 3) and figures["exact_o0"] == pytest.approx(2 / 3)
    assert figures["cer"] == pytest.approx(2 / 10)
    assert figures["calibration"] == pytest.approx(0)
    assert confusions(truths, readings) == {("0", "O"): 1}
