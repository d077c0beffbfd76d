"""The networks for nvinfer: a configuration from each model card, and what the parsers must know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plateloop.runtime import lpdnet, lprnet, tcnet
from plateloop.runtime.card import Card, Task
from plateloop.runtime.scores import CANDIDATES

Groups = dict[str, dict[str, object]]

IDS: dict[Task, int] = {"tcnet": 1, "lpdnet": 2, "lprnet": 3, "colornet": 4}
"""The gie-unique-id of each network."""

PARENTS: dict[Task, Task] = {"lpdnet": "tcnet", "lprnet": "lpdnet", "colornet": "tcnet"}
"""The network on whose objects each other one works."""


def ini(groups: Groups) -> str:
    """``groups`` as the key files that DeepStream reads; a value is one line, whatever is in it."""
    parts = (
        "\n".join([f"[{name}]", *(f"{key}={_line(value)}" for key, value in keys.items())])
        for name, keys in groups.items()
    )
    return "\n\n".join(parts) + "\n"


def _line(value: object) -> str:
    # The name of a camera may hold anything.
    return "".join(sign if sign.isprintable() else " " for sign in str(value))


def listed(values: Sequence[object]) -> str:
    """A list as DeepStream writes it."""
    return ";".join(map(str, values))


def nvinfer(card: Card, cards: Mapping[Task, Card], batch: int, threshold: float) -> Groups:
    """nvinfer's configuration of ``card``: ``batch`` inputs at once, nothing below ``threshold``.

    Suppression is done by the parsers, as the runtime does it (cluster-mode 4: none). INT8 graphs carry
    their own ranges, which TensorRT takes only where types are strong.
    """
    task, given = card.task, card.input
    detects = task in ("tcnet", "lpdnet")
    keys: dict[str, object] = {
        "gpu-id": 0,
        "onnx-file": f"{task}.onnx",
        "infer-dims": listed((3, given.height, given.width)),
        "batch-size": batch,
        "network-type": 0 if detects else 1,
        "network-mode": 0 if card.precision != "fp32" else 2,
        "model-color-format": 0 if given.color_order == "RGB" else 1,
        "net-scale-factor": f"{given.scale:.10g}",
        "offsets": listed([f"{value:g}" for value in given.mean]),
        "maintain-aspect-ratio": int(given.resize == "letterbox"),
        "symmetric-padding": 0,
        "scaling-filter": 1,
        "output-blob-names": listed(card.outputs),
        "gie-unique-id": IDS[task],
        "process-mode": 1 if task == "tcnet" else 2,
        "custom-lib-path": "libplateloop_parsers.so",
    }
    if card.precision != "fp32":
        keys["strongly-typed"] = 1
    if task in PARENTS:
        parent = cards[PARENTS[task]]
        keys |= {
            "operate-on-gie-id": IDS[parent.task],
            "operate-on-class-ids": listed(range(len(parent.labels))),
        }
    function = f"Plateloop{task.capitalize()}"
    if detects:
        keys |= {
            "num-detected-classes": len(card.labels),
            "labelfile-path": f"labels_{task}.txt",
            "parse-bbox-func-name": function,
            "cluster-mode": 4,
        }
        return {"property": keys, "class-attrs-all": {"pre-cluster-threshold": f"{threshold:g}"}}
    keys |= {
        "parse-classifier-func-name": function,
        "classifier-threshold": f"{threshold:g}",
        "classifier-type": "license" if task == "lprnet" else "color",
    }
    return {"property": keys}


def header(cards: Mapping[Task, Card]) -> str:
    """``plateloop_cards.h``: what the parsers take from the cards and the runtime."""
    detectors = [
        f"constexpr size_t kTcnetCandidates = {CANDIDATES}, kMostPlates = {lpdnet.MOST};",
        f"constexpr float kTcnetIou = {_float(cards['tcnet'].nms_threshold)};",
        f"constexpr float kSameVehicle = {_float(tcnet.SAME_VEHICLE)};",
        f"constexpr float kLpdnetIou = {_float(cards['lpdnet'].nms_threshold)};",
    ]
    reader, colors = cards["lprnet"], cards["colornet"]
    return "\n".join(
        [
            "// Written by plateloop from the model cards.",
            "#pragma once",
            "#include <array>",
            "#include <cstddef>",
            "",
            "namespace plateloop {",
            *detectors,
            f'constexpr char kAlphabet[] = "{reader.alphabet}";',
            f"constexpr float kLprnetTemperature = {_float(reader.temperature)};",
            f"constexpr float kRegionFrom = {_float(lprnet.REGION_FROM)};",
            _texts("kRegions", reader.regions),
            f"constexpr float kColornetTemperature = {_float(colors.temperature)};",
            _texts("kColors", colors.labels),
            "}  // namespace plateloop",
            "",
        ]
    )


def _float(value: float) -> str:
    return f"{float(value)!r}f"


def _texts(name: str, values: Sequence[str]) -> str:
    joined = ", ".join(f'"{value}"' for value in values)
    return f"constexpr std::array<const char *, {len(values)}> {name} = {{{joined}}};"
