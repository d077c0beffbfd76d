"""Messages: golden files, schemas, absent values, and nvmsgconv's file of sensors."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plateloop.deployment.kafka import config, payloads
from plateloop.deployment.kafka.metadata import Scenery, read_scenery, with_sources
from plateloop.deployment.site import PlaceConfig, SensorConfig
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.store import Stored
from plateloop.errors import UserError
from plateloop.types import Event

INI = """\
[sensor0]
enable=1
type=Camera
id=HWY_20;A
location=45.293701447;-75.8303914499;48.1557479338
description="Aisle Camera"
coordinate=5.2;10.1;11.2

[sensor1]
enable=0
id=off

[place0]
enable=1
id=0
type=intersection/road
name=HWY_20_AND_LOCUST
location=30.32;-40.549;100.0
coordinate=1.0;2.0;3.0
place-sub-field1=walsh
place-sub-field2=lane1
place-sub-field3=P2

[analytics0]
enable=1
id=XYZ_1
description="Plate recognition"
source=OpenR
version=1.0
"""
YAML = """\
sensor0:
  enable: 1
  type: Camera
  id: HWY_20;A
  location: 45.293701447;-75.8303914499;48.1557479338
  description: Aisle Camera
  coordinate: 5.2;10.1;11.2
sensor1: {enable: 0, id: off}
place0:
  enable: 1
  id: 0
  type: intersection/road
  name: HWY_20_AND_LOCUST
  location: 30.32;-40.549;100.0
  coordinate: 1.0;2.0;3.0
  place-sub-field1: walsh
  place-sub-field2: lane1
  place-sub-field3: P2
analytics0:
  enable: 1
  id: XYZ_1
  description: Plate recognition
  source: OpenR
  version: 1.0
"""


@pytest.fixture
def scenery(tmp_path: Path) -> Scenery:
    (tmp_path / "sensors.txt").write_text(INI)
    return read_scenery(tmp_path / "sensors.txt")


@pytest.fixture
def stored(passage: Callable[..., Event]) -> Stored:
    event = passage("0a1b2c3d-0000-4000-8000-000000000001", "end")
    return Stored(1, 12, 0, 1652974099.1904, 1110, event)


@pytest.mark.parametrize("schema", ["custom", "full", "minimal"])
def test_messages_are_byte_for_byte_as_the_golden_files(
    schema: Any, stored: Stored, scenery: Scenery, validate: Callable[[str, Any], None]
) -> None:
    message = payloads.payload(stored, schema, scenery)
    golden = Path(payloads.__file__).parent / "schemas" / f"{schema}.golden.json"
    assert message == golden.read_bytes().rstrip(b"\n")
    validate(schema, json.loads(message))


def test_the_custom_golden_file_is_the_design_s(scenery: Scenery, stored: Stored) -> None:
    wanted = """{"messageid": "uuid", "mdsversion": "1.0", "@timestamp": "2022-05-19T15:28:19.190Z",
 "frame_id": 1110,
 "sensor": {"id": "0", "type": "Camera", "description": "…", "location": {"lat": 0, "lon": 0, "alt": 0}},
 "object": {"car_id": "1",
   "vehicle": {"color": "blue", "region": "CA", "license": "3047002", "tcnet_confidence": 0.84,
               "lpdnet_confidence": 0.98, "lprnet_confidence": 0.97, "colornet_confidence": 0.60},
   "car_bbox": {"topleftx": 360, "toplefty": 572, "bottomrightx": 636, "bottomrighty": 842},
   "lpd_bbox": {"topleftx": 460, "toplefty": 761, "bottomrightx": 514, "bottomrighty": 790}},
 "event": {"id": "uuid", "type": "moving"}, "videoPath": ""}"""
    event = stored.event.model_copy(update={"source": "0"})
    message = payloads.custom(replace(stored, event=event), Scenery())
    message["messageid"] = message["event"]["id"] = "uuid"
    message["sensor"]["description"] = "…"
    assert json.dumps(message) == json.dumps(json.loads(wanted))


def test_absent_values(
    passage: Callable[..., Event], stored: Stored, validate: Callable[[str, Any], None]
) -> None:
    bare = replace(stored, event=passage("1", "end", text=None, confidence=0.0, vehicle=None, plate=None))
    custom = payloads.custom(bare, Scenery())["object"]
    assert custom["vehicle"] == {
        "color": "None", "region": "None", "license": "None", "tcnet_confidence": 0.0,
        "lpdnet_confidence": 0.0, "lprnet_confidence": 0.0, "colornet_confidence": 0.0,
    }  # fmt: skip
    assert set(custom["car_bbox"].values()) == set(custom["lpd_bbox"].values()) == {0}
    full = payloads.full(bare, Scenery())
    assert full["place"] is None and full["analyticsModule"] is None and full["sensor"]["id"] == "gate"
    assert payloads.minimal(bare, Scenery())["objects"] == ["1|0|0|0|0|Vehicle|#|||||||0"]
    for schema in ("custom", "full", "minimal"):
        validate(schema, json.loads(payloads.payload(bare, schema, Scenery())))


def test_a_bar_in_a_name_starts_no_new_field(passage: Callable[..., Event], stored: Stored) -> None:
    event = passage("1", "end", text='A|B"\n')
    (thing,) = payloads.minimal(replace(stored, event=event), Scenery())["objects"]
    assert thing.count("|") == 13 and 'A/B"\n' in thing


def test_ini_and_yaml_say_the_same(scenery: Scenery, tmp_path: Path) -> None:
    (tmp_path / "sensors.yml").write_text(YAML)
    assert read_scenery(tmp_path / "sensors.yml") == scenery
    assert list(scenery.sensors) == [0] and scenery.sensors[0].location[2] == 48.1557479338
    # By position, by name, and what the file does not know.
    assert scenery.sensor("gate", 0).id == scenery.sensor("HWY_20;A", 5).id == "HWY_20;A"
    assert scenery.sensor("gate", 1).id == "gate"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sensor0]\nlocation=1;2\n", r"sensor0\.location"),
        ("[sensor0]\nlocation=a;b;c\n", r"sensor0\.location"),
        ("sensor0", "neither INI nor YAML"),
    ],
)
def test_a_wrong_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        read_scenery(tmp_path / "s.txt")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("host:9092", ("host:9092", "plateloop")),
        ("a:1,b:2/plates", ("a:1,b:2", "plates")),
        ("[::1]:9092/x", ("[::1]:9092", "x")),
    ],
)
def test_addresses(text: str, parsed: tuple[str, str]) -> None:
    assert config.parse_address(text) == parsed


@pytest.mark.parametrize("text", ["host", "host:port", "host:1/a b", "kafka://host:1/t", "", ":1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UserError, match="not a Kafka address"):
        config.parse_address(text)


def test_settings_show_no_passwords(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("# TLS\nsasl.username = u\nsasl.password=a=b\n")
    settings = config.Properties.read(tmp_path / "p")
    assert settings == {"sasl.username": "u", "sasl.password": "a=b"} and "a=b" not in repr(settings)
    (tmp_path / "p").write_text("word\n")
    with pytest.raises(UserError, match="line 1"):
        config.Properties.read(tmp_path / "p")


def test_a_page_describes_its_sources_before_the_file(scenery: Scenery, stored: Stored) -> None:
    source = SourceConfig(
        url="rtsp://camera/1",
        name=stored.event.source,
        sensor=SensorConfig(description="North", location=(52.5, 13.4, 30)),
        place=PlaceConfig(id="7", name="Yard", type="garage", parts=("a", "b", "c")),
    )
    message = payloads.full(stored, with_sources(scenery, [source]))
    assert message["sensor"]["id"] == stored.event.source
    assert message["sensor"]["location"] == {"lat": 52.5, "lon": 13.4, "alt": 30}
    assert message["place"]["name"] == "Yard" and message["place"]["aisle"]["level"] == "c"
    assert payloads.full(stored, with_sources(scenery, []))["place"]["name"] == "HWY_20_AND_LOCUST"
