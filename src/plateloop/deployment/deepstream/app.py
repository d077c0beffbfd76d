"""The pipeline for deepstream-app: sources, tiler, tracker, networks, overlay and sinks from a page."""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import urlsplit

from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.deepstream.networks import IDS, PARENTS, Groups, listed
from plateloop.deployment.sources import SourceConfig, is_live
from plateloop.errors import UserError

SDK = "/opt/nvidia/deepstream/deepstream"
EXAMPLE = SourceConfig(url=f"{SDK}/samples/streams/sample_1080p_h264.mp4", name="example")
"""The source where the page names none: a clip that comes with DeepStream."""


def sources(page: PipelineConfig) -> tuple[SourceConfig, ...]:
    """The page's sources, or the example."""
    return page.sources or (EXAMPLE,)


def app_groups(page: PipelineConfig, classes: int) -> Groups:
    """deepstream-app's groups; ``classes`` is the number of tcnet's labels.

    Raises UserError for a source that deepstream-app cannot read.
    """
    given = sources(page)
    columns = math.ceil(math.sqrt(len(given)))
    groups: Groups = {
        "application": {"enable-perf-measurement": 1, "perf-measurement-interval-sec": 5},
        "tiled-display": {
            "enable": 1,
            "rows": math.ceil(len(given) / columns),
            "columns": columns,
            "width": 1920,
            "height": 1080,
            "gpu-id": 0,
        },
    }
    groups |= {f"source{number}": _source(source) for number, source in enumerate(given)}
    groups["streammux"] = {
        "gpu-id": 0,
        "live-source": int(any(is_live(source.url) for source in given)),
        "batch-size": len(given),
        "batched-push-timeout": round(1e6 * page.networks.latency_s),
        "width": 1920,
        "height": 1080,
        "enable-padding": 0,
    }
    groups["primary-gie"] = {
        "enable": 1,
        "gpu-id": 0,
        "gie-unique-id": IDS["tcnet"],
        "batch-size": len(given),
        "interval": page.schedule.interval - 1,
        "config-file": "config_tcnet.txt",
    }
    groups["tracker"] = {
        "enable": 1,
        "gpu-id": 0,
        "tracker-width": 640,
        "tracker-height": 384,
        "ll-lib-file": f"{SDK}/lib/libnvds_nvmultiobjecttracker.so",
        "ll-config-file": f"{SDK}/samples/configs/deepstream-app/config_tracker_NvDCF_perf.yml",
        "display-tracking-id": 1,
    }
    for number, (task, parent) in enumerate(PARENTS.items()):
        groups[f"secondary-gie{number}"] = {
            "enable": 1,
            "gpu-id": 0,
            "gie-unique-id": IDS[task],
            "operate-on-gie-id": IDS[parent],
            "operate-on-class-ids": listed(range(classes if parent == "tcnet" else 1)),
            "config-file": f"config_{task}.txt",
        }
    groups["osd"] = {"enable": 1, "gpu-id": 0, "border-width": 2, "text-size": 14, "font": "Serif"}
    return groups | _sinks(page)


def _sinks(page: PipelineConfig) -> Groups:
    """The annotated MP4, an RTSP server that is off, and Kafka where the page has it."""
    encoding = {"codec": 1, "enc-type": 0, "bitrate": 4_000_000}
    groups: Groups = {
        "sink0": {
            "enable": int(page.output.overlay),
            "type": 3,
            "container": 1,
            **encoding,
            "sync": 0,
            "output-file": "annotated.mp4",
        },
        "sink1": {"enable": 0, "type": 4, **encoding, "sync": 0, "rtsp-port": 8554, "udp-port": 5400},
    }
    if page.kafka is not None:
        host, _, port = page.kafka.servers.split(",")[0].rpartition(":")
        groups["sink2"] = {
            "enable": 1,
            "type": 6,
            "sync": 0,
            "msg-conv-config": "msgconv.txt",
            "msg-conv-payload-type": 1 if page.kafka.payload == "minimal" else 0,
            "msg-conv-msg2p-new-api": 1,
            "msg-conv-frame-interval": 30,
            "msg-broker-proto-lib": f"{SDK}/lib/libnvds_kafka_proto.so",
            "msg-broker-conn-str": listed((host, port, page.kafka.topic)),
            "topic": page.kafka.topic,
            "msg-broker-config": "kafka.txt",
        }
    elif not page.output.overlay:
        groups["sink2"] = {"enable": 1, "type": 1, "sync": 0}
    return groups


def _source(source: SourceConfig) -> dict[str, object]:
    scheme = urlsplit(source.url).scheme.lower()
    if scheme in ("rtsp", "rtsps"):
        protocol = 4 if source.transport == "tcp" else 0
        return {"enable": 1, "type": 4, "uri": source.url, "select-rtp-protocol": protocol, "gpu-id": 0}
    if scheme in ("http", "https"):
        return {"enable": 1, "type": 3, "uri": source.url, "num-sources": 1, "gpu-id": 0}
    if source.url.startswith("/dev/video"):
        return {"enable": 1, "type": 1, "camera-v4l2-dev-node": source.url.removeprefix("/dev/video")}
    path = Path(source.url)
    if "://" in source.url or path.is_dir():
        raise UserError(f"{source.title}: deepstream-app reads video files, RTSP, HTTP and /dev/videoN")
    return {"enable": 1, "type": 3, "uri": path.absolute().as_uri(), "num-sources": 1, "gpu-id": 0}
