"""The pipeline of deepstream_app.txt in Python: python3 plateloop_app.py [--custom]

Needs DeepStream's pyservicemaker. With --custom it sends plateloop's own messages itself (one whenever a
vehicle's text changes), which needs confluent-kafka; nvmsgconv and nvmsgbroker are then left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

Groups = dict[str, dict[str, str]]
HERE = Path(__file__).resolve().parent
TCNET, LPDNET, LPRNET, COLORNET = 1, 2, 3, 4
# Vehicles whose last text is remembered.
MOST = 10_000


def read(name: str) -> Groups:
    """The groups of one of this folder's files."""
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.read_string((HERE / name).read_text(encoding="utf-8"))
    return {group: dict(parser[group]) for group in parser.sections()}


def taken(group: dict[str, str], *names: str, **renamed: str) -> dict[str, str | int]:
    """Properties of an element: keys of a group, some under other names; numbers as numbers."""
    pairs = [(name, name) for name in names] + [(to.replace("_", "-"), key) for to, key in renamed.items()]
    values = {name: group[key] for name, key in pairs if key in group}
    return {name: int(value) if value.lstrip("-").isdecimal() else value for name, value in values.items()}


def numbered(groups: Groups, kind: str) -> list[dict[str, str]]:
    """The enabled groups whose name is ``kind`` and a number, in order."""
    names = [name for name in groups if name.startswith(kind) and name[len(kind) :].isdecimal()]
    names.sort(key=lambda name: int(name[len(kind) :]))
    return [groups[name] for name in names if groups[name].get("enable") == "1"]


def build(pipeline: Any, groups: Groups, custom: Any = None) -> None:
    """Add and link all elements; ``custom`` is a probe that takes the place of nvmsgconv and nvmsgbroker."""
    pipeline.add(
        "nvstreammux",
        "mux",
        taken(
            groups["streammux"],
            "batch-size",
            "batched-push-timeout",
            "width",
            "height",
            "live-source",
            "enable-padding",
            "gpu-id",
        ),
    )
    for number, group in enumerate(numbered(groups, "source")):
        add_source(pipeline, f"source{number}", group)
    add_network(pipeline, "tcnet", groups["primary-gie"])
    tracker = groups["tracker"]
    keys = ("tracker-width", "tracker-height", "ll-lib-file", "ll-config-file", "gpu-id")
    pipeline.add("nvtracker", "tracker", taken(tracker, *keys))
    secondary = ("lpdnet", "lprnet", "colornet")
    for name, group in zip(secondary, numbered(groups, "secondary-gie"), strict=True):
        add_network(pipeline, name, group)
    # Messages are told before the tiler, which moves boxes to their place in the mosaic.
    pipeline.add("tee", "seen").add("queue", "drawn")
    tiler = taken(groups["tiled-display"], "rows", "columns", "width", "height", "gpu-id")
    pipeline.add("nvmultistreamtiler", "tiler", tiler)
    pipeline.add("nvvideoconvert", "converted").add("nvdsosd", "osd").add("tee", "shown")
    pipeline.link(
        "mux", "tcnet", "tracker", *secondary, "seen", "drawn", "tiler", "converted", "osd", "shown"
    )
    sinks = numbered(groups, "sink")
    broker = next((group for group in sinks if group["type"] == "6"), None)
    if custom is not None:
        pipeline.attach("colornet", custom)
    elif broker is not None:
        add_broker(pipeline, broker)
    pictures = [group for group in sinks if group["type"] != "6"]
    for number, group in enumerate(pictures or [{"type": "1"}]):
        add_sink(pipeline, f"sink{number}", group)


def add_network(pipeline: Any, name: str, group: dict[str, str]) -> None:
    """One of the networks."""
    properties = taken(group, "batch-size", "interval", unique_id="gie-unique-id")
    pipeline.add("nvinfer", name, {"config-file-path": str(HERE / group["config-file"]), **properties})


def add_source(pipeline: Any, name: str, group: dict[str, str]) -> None:
    """A file, a stream or a camera, linked to the muxer."""
    if group["type"] == "1":
        device = "/dev/video" + group["camera-v4l2-dev-node"]
        caps = {"caps": "video/x-raw(memory:NVMM), format=NV12"}
        pipeline.add("v4l2src", f"{name}-camera", {"device": device})
        pipeline.add("nvvideoconvert", f"{name}-converted").add("capsfilter", name, caps)
        pipeline.link(f"{name}-camera", f"{name}-converted", name)
    else:
        properties = taken(group, "uri", "select-rtp-protocol", "gpu-id")
        pipeline.add("nvurisrcbin", name, properties)
    pipeline.link((name, "mux"), ("", "sink_%u"))


def add_broker(pipeline: Any, group: dict[str, str]) -> None:
    """DeepStream's own messages to Kafka."""
    pipeline.add("queue", "told").add(
        "nvmsgconv",
        "messages",
        {
            "config": str(HERE / group["msg-conv-config"]),
            **taken(
                group,
                payload_type="msg-conv-payload-type",
                msg2p_newapi="msg-conv-msg2p-new-api",
                frame_interval="msg-conv-frame-interval",
            ),
        },
    )
    pipeline.add(
        "nvmsgbroker",
        "broker",
        {
            "config": str(HERE / group["msg-broker-config"]),
            **taken(
                group,
                "topic",
                "sync",
                proto_lib="msg-broker-proto-lib",
                conn_str="msg-broker-conn-str",
            ),
        },
    )
    pipeline.link("seen", "told", "messages", "broker")


def add_sink(pipeline: Any, name: str, group: dict[str, str]) -> None:
    """An MP4, an RTSP server, or nothing."""
    pipeline.add("queue", name)
    if group["type"] == "3":
        pipeline.add("nvvideoconvert", f"{name}-converted")
        pipeline.add("nvv4l2h264enc", f"{name}-encoded", taken(group, "bitrate"))
        pipeline.add("h264parse", f"{name}-parsed").add("qtmux", f"{name}-muxed")
        pipeline.add("filesink", f"{name}-end", taken(group, "sync", location="output-file"))
        parts = (f"{name}-converted", f"{name}-encoded", f"{name}-parsed", f"{name}-muxed")
        pipeline.link("shown", name, *parts, f"{name}-end")
        return
    if group["type"] == "4":
        properties = taken(group, "bitrate", "enc-type", "rtsp-port", "sync")
        pipeline.add("nvrtspoutsinkbin", f"{name}-end", properties)
    else:
        pipeline.add("fakesink", f"{name}-end", taken(group, "sync"))
    pipeline.link("shown", name, f"{name}-end")


class Thing(NamedTuple):
    """An object of a frame: the network that found it, its track, and labels by network."""

    network: int
    track: int
    confidence: float
    box: tuple[float, float, float, float]
    labels: dict[int, list[tuple[str, float]]]


def messages(
    frame: Any, sensors: Groups, told: dict[tuple[int, int], str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ``custom`` messages of a frame, each with its sensor's id; ``told``: each vehicle's last text."""
    # The iterator may hand out the same object again, so its values are taken at once.
    things = [plain(thing) for thing in frame.object_items]
    number = frame.source_id
    group = sensors.get(f"sensor{number}", {"id": str(number)})
    for vehicle in things:
        plate = plate_of(vehicle, things) if vehicle.network == TCNET else None
        if plate is None or LPRNET not in plate.labels:
            continue
        (text, sure), *more = plate.labels[LPRNET]
        if text == told.get((number, vehicle.track)):
            continue
        told[number, vehicle.track] = text
        if len(told) > MOST:
            del told[next(iter(told))]
        color, color_sure = vehicle.labels.get(COLORNET, [("None", 0.0)])[0]
        location = [float(part) for part in group.get("location", "0;0;0").split(";")]
        now = datetime.fromtimestamp(frame.ntp_timestamp / 1e9 or time.time(), UTC)
        yield (
            group["id"],
            {
                "messageid": str(uuid4()),
                "mdsversion": "1.0",
                "@timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "frame_id": frame.frame_number,
                "sensor": {
                    "id": group["id"],
                    "type": group.get("type", "Camera"),
                    "description": group.get("description", ""),
                    "location": dict(zip(("lat", "lon", "alt"), location, strict=True)),
                },
                "object": {
                    "car_id": str(vehicle.track),
                    "vehicle": {
                        "color": color,
                        "region": more[0][0] if more else "None",
                        "license": text,
                        "tcnet_confidence": vehicle.confidence,
                        "lpdnet_confidence": plate.confidence,
                        "lprnet_confidence": sure,
                        "colornet_confidence": color_sure,
                    },
                    "car_bbox": corners(vehicle.box),
                    "lpd_bbox": corners(plate.box),
                },
                "event": {"id": str(uuid4()), "type": "moving"},
                "videoPath": "",
            },
        )


def plain(thing: Any) -> Thing:
    """What is used of an object's metadata."""
    rect = thing.rect_params
    box = (rect.left, rect.top, rect.left + rect.width, rect.top + rect.height)
    labels = {}
    for item in thing.classifier_items:
        infos = [item.get_label_info(index) for index in range(item.n_labels)]
        if infos:
            labels[item.unique_component_id] = [(info.label, info.prob) for info in infos]
    # A box that the tracker has made up has a confidence below 0.
    confidence = min(1.0, max(0.0, thing.confidence))
    return Thing(thing.unique_component_id, thing.object_id, confidence, box, labels)


def plate_of(vehicle: Thing, things: Sequence[Thing]) -> Thing | None:
    """The surest plate whose middle lies in a vehicle's box."""
    left, top, right, bottom = vehicle.box
    plates = []
    for thing in things:
        x, y = (thing.box[0] + thing.box[2]) / 2, (thing.box[1] + thing.box[3]) / 2
        if thing.network == LPDNET and left <= x <= right and top <= y <= bottom:
            plates.append(thing)
    return max(plates, key=lambda plate: plate.confidence, default=None)


def corners(box: Sequence[float]) -> dict[str, int]:
    """A box as the messages have it."""
    return dict(zip(("topleftx", "toplefty", "bottomrightx", "bottomrighty"), map(round, box), strict=True))


def main(arguments: Sequence[str]) -> None:
    """Run until all sources have ended."""
    from pyservicemaker import (  # type: ignore[import-not-found, unused-ignore]
        BatchMetadataOperator,
        Pipeline,
        Probe,
    )

    groups = read("deepstream_app.txt")
    custom = None
    if "--custom" in arguments:
        from confluent_kafka import Producer

        broker = next((group for group in numbered(groups, "sink") if group["type"] == "6"), None)
        if broker is None:
            sys.exit("plateloop_app: the page that was exported names no Kafka")
        host, port, topic = broker["msg-broker-conn-str"].split(";")
        producer = Producer({"bootstrap.servers": f"{host}:{port}", "enable.idempotence": True})
        sensors = read("msgconv.txt")

        told: dict[tuple[int, int], str] = {}

        class Custom(BatchMetadataOperator):  # type: ignore[misc, unused-ignore]
            def handle_metadata(self, batch: Any) -> None:
                for frame in batch.frame_items:
                    for key, message in messages(frame, sensors, told):
                        producer.produce(topic, json.dumps(message), key)
                producer.poll(0)

        custom = Probe("custom", Custom())
    pipeline = Pipeline("plateloop")
    build(pipeline, groups, custom)
    pipeline.start().wait()
    if custom is not None:
        producer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
