"""The labeler's interface, over HTTP as the page uses it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.manifest import NAME, Plate, Record, Vehicle, read_manifest, write_manifest

httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

WIDTH, HEIGHT = 640, 384
PLATE = (100.0, 200.0, 160.0, 220.0)


def picture(green: int) -> np.ndarray:
    """A gray picture with a blue car that the toy networks see, and on it a red plate of their digit."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[80:240, 60:220] = (0, 0, 255)
    image[200:220, 100:160] = (255, green, 0)
    return image


def record(number: int, **plate: Any) -> Record:
    return Record(
        file=f"images/{number}.png",
        width=WIDTH,
        height=HEIGHT,
        vehicles=(Vehicle(box=(60, 80, 220, 240), label="car"),),
        plates=(Plate(box=PLATE, vehicle=0, **plate),),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures: one read by a person, one whose text the toy reader agrees with, one that it does not,
    one without a text, one without any label."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    greens = [0, 255 * 3 // 9, 255 * 3 // 9, 255 * 6 // 9, 0]
    for number, green in enumerate(greens):
        cv2.imwrite(str(folder / f"images/{number}.png"), picture(green)[..., ::-1])
    records = [
        record(0, text="0", annotation="annotated"),
        record(1, text="3"),
        record(2, text="7"),
        record(3),
        Record(file="images/4.png", width=WIDTH, height=HEIGHT),
    ]
    write_manifest(folder, records)
    return folder


@pytest.fixture
def client(folder: Path, toy_weights: Path) -> Iterator[Any]:
    """The application, served on loopback."""
    from plateloop.data_preparation.labeler.app import create_app
    from plateloop.data_preparation.labeler.drafts import Drafts
    from plateloop.data_preparation.labeler.store import Store
    from plateloop.data_preparation.labeler.views import Pictures
    from plateloop.web import LOOPBACK

    store, pictures = Store(folder), Pictures(folder)
    drafts = Drafts(store, pictures, toy_weights, threads=1)
    app = create_app(store, pictures, drafts, LOOPBACK)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
            yield client
        server.should_exit = True
        thread.join()
    drafts.close()
    store.close()


def test_lists_are_paged_and_filtered(client: Any) -> None:
    assert client.get("/api/dataset").json()["records"] == 5
    page = client.get("/api/records", params={"start": 3, "count": 10}).json()
    assert (page["total"], [item["row"] for item in page["items"]]) == (5, [3, 4])
    assert page["items"][0] | {"row": 0} == {
        "row": 0,
        "file": "images/3.png",
        "vehicles": 1,
        "plates": 1,
        "done": False,
    }
    one = client.get("/api/records/1").json()
    one["record"]["tags"] = ["reviewed"]
    assert client.put("/api/records/1", json={"base": one["version"], "record": one["record"]}).is_success
    assert [i["row"] for i in client.get("/api/records?state=todo").json()["items"]] == [0, 2, 3, 4]
    for row, step, expected in [(0, 1, 2), (1, 1, 2), (2, -1, 0), (1, 0, 2), (4, 1, None), (0, -1, None)]:
        found = client.get("/api/neighbor", params={"row": row, "state": "todo", "step": step}).json()
        assert found["row"] == expected
    assert client.get("/api/records?count=100000").status_code == 422
    assert client.get("/api/records/5").status_code == 404
    assert client.get("/api/records/-1").status_code == 404


def test_a_second_tab_is_told_of_the_conflict(client: Any, folder: Path) -> None:
    first, second = (client.get("/api/records/2").json() for _ in range(2))
    first["record"]["vehicles"][0]["color"] = "red"
    answer = client.put("/api/records/2", json={"base": first["version"], "record": first["record"]})
    assert answer.is_success
    second["record"]["vehicles"] = []
    second["record"]["plates"] = []
    stale = client.put("/api/records/2", json={"base": second["version"], "record": second["record"]})
    assert stale.status_code == 409
    assert stale.json()["version"] == answer.json()["version"]
    assert stale.json()["record"]["vehicles"][0]["color"] == "red"
    # Told of it, the user may still decide for theirs.
    again = {"base": stale.json()["version"], "record": second["record"]}
    assert client.put("/api/records/2", json=again).is_success
    assert client.post("/api/save", json={}).json()["unfolded"] == 0
    assert list(read_manifest(folder))[2].vehicles == ()


def test_what_is_no_label_is_refused(client: Any) -> None:
    one = client.get("/api/records/0").json()
    for change in (
        {"file": "x.png"},
        {"vehicles": [{"box": [1, 1, 9000, 9], "label": "car"}]},
        {"width": "x"},
    ):
        edit = {"base": one["version"], "record": one["record"] | change}
        assert client.put("/api/records/0", json=edit).status_code == 422
    assert client.get("/api/status").json()["unfolded"] == 0


def test_the_draft_is_what_the_cascade_sees(client: Any) -> None:
    draft = client.get("/api/records/4/draft").json()
    (vehicle,), (plate,) = draft["vehicles"], draft["plates"]
    assert vehicle["label"] == "car"
    assert vehicle["confidence"] == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(vehicle["box"], (60, 80, 220, 240), atol=2)
    np.testing.assert_allclose(plate["box"], PLATE, atol=3)
    assert (plate["text"], plate["vehicle"]) == ("0", 0)
    assert len(plate["corners"]) == 4


def test_the_wall_shows_first_what_needs_a_person_most(client: Any, folder: Path) -> None:
    wall = client.post("/api/walls", json={"state": "todo", "order": "uncertain"}).json()
    assert wall["total"] == 3
    page = client.get(f"/api/walls/{wall['wall']}").json()
    # Picture 2 says 7 where the network reads 3.
    assert page["items"][0]["row"] == 2
    assert page["items"][0]["plate"]["text"] == "7"
    assert page["items"][0]["reading"]["text"] == "3"
    assert {item["row"]: item["reading"]["text"] for item in page["items"]} == {1: "3", 2: "3", 3: "6"}
    first = page["items"][0]
    edit = {"base": first["plate"], "plate": first["plate"] | {"text": "3", "annotation": "annotated"}}
    assert client.put("/api/records/2/plates/0", json=edit).is_success
    assert client.put("/api/records/2/plates/0", json=edit).status_code == 409
    # What was shown keeps its place; a new wall leaves it out.
    again = client.get(f"/api/walls/{wall['wall']}").json()
    assert [item["row"] for item in again["items"]] == [item["row"] for item in page["items"]]
    assert [item["done"] for item in again["items"]] == [True, False, False]
    assert client.post("/api/walls", json={"state": "todo"}).json()["total"] == 2
    assert client.get("/api/walls/999").status_code == 410
    client.post("/api/save", json={})
    plate = list(read_manifest(folder))[2].plates[0]
    assert (plate.text, plate.annotation) == ("3", "annotated")


def test_without_networks_people_can_still_label(folder: Path, tmp_path: Path) -> None:
    from plateloop.data_preparation.labeler.drafts import Drafts
    from plateloop.data_preparation.labeler.store import Store
    from plateloop.data_preparation.labeler.views import Pictures
    from plateloop.data_preparation.labeler.wall import Wall
    from plateloop.errors import UserError

    store, pictures = Store(folder), Pictures(folder)
    drafts = Drafts(store, pictures, tmp_path / "no networks here")
    with pytest.raises(UserError, match="none of"):
        drafts.scene("images/0.png")
    assert Wall(store, drafts, "all", True).page(0, 10) == [0, 1, 2, 3]
    drafts.close()
    store.close()


def test_pictures_are_shown_from_the_folder_alone(client: Any, folder: Path) -> None:
    size = []
    for what in ("picture", "thumbnail", "plates/0/view", "plates/0/context"):
        answer = client.get(f"/api/records/1/{what}")
        assert answer.headers["content-type"] in ("image/png", "image/jpeg")
        size.append(cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR).shape[1::-1])
    assert size[0] == (WIDTH, HEIGHT)
    assert size[1] == (195, 117)
    assert client.get("/api/records/1/plates/1/view").status_code == 404
    (folder / "images/3.png").unlink()
    missing = client.get("/api/records/3/picture")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "images/3.png: no such picture in the dataset's folder",
    )


@pytest.mark.parametrize(
    "file", ["../secret.png", "images/../../secret.png", "/etc/passwd", "images/link.png"]
)
def test_no_way_out_of_the_folder(folder: Path, file: str) -> None:
    from plateloop.data_preparation.labeler.views import Pictures
    from plateloop.errors import UserError

    secret = folder.parent / "secret.png"
    cv2.imwrite(str(secret), picture(0))
    (folder / "images/link.png").symlink_to(secret)
    with pytest.raises(UserError, match="lies outside"):
        Pictures(folder).frame(file)
    if "link" in file:
        assert Pictures(folder, follow_links=True).frame(file).width == WIDTH


def test_the_page_is_served_without_anything_from_elsewhere(client: Any) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("index.html", "app.js", "boxes.js", "wall.js", "canvas.js", "style.css", "icon.svg"):
        text = client.get(f"/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
    assert client.get("/../app.py").status_code == 404
    assert client.get("/%2e%2e/app.py").status_code == 404
    assert client.get("/docs").status_code == 404


def test_other_sites_cannot_write(client: Any) -> None:
    one = client.get("/api/records/0").json()
    body = {"base": one["version"], "record": one["record"]}
    foreign = {"origin": "http://example.org"}
    assert client.put("/api/records/0", json=body, headers=foreign).status_code == 403
    plain = client.post("/api/save", content="{}", headers={"content-type": "text/plain"})
    assert plain.status_code == 403
    assert client.get("/api/records/0", headers={"host": "evil.example"}).status_code == 400


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The command itself, on a free port; its address."""
    command = [sys.executable, "-m", "plateloop", "label", str(folder), "--port", "0", "--no-browser"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if " at http" in line:
            return process, line.split(" at ")[1].split()[0]
    raise AssertionError("it did not start")


def test_the_command_keeps_everything_through_kill_9(folder: Path) -> None:
    before = (folder / NAME).read_bytes()
    process, url = start(folder)
    with process:
        assert url.startswith("http://127.0.0.1:")
        for row in range(3):
            one = httpx.get(f"{url}api/records/{row}").json()
            one["record"]["tags"] = ["kept"]
            edit = {"base": one["version"], "record": one["record"]}
            assert httpx.put(f"{url}api/records/{row}", json=edit).is_success
        process.kill()
    assert (folder / NAME).read_bytes() == before
    process, url = start(folder)
    with process:
        assert httpx.get(f"{url}api/records/2").json()["record"]["tags"] == ["kept"]
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert "all edits are in the manifest" in process.stdout.read()
    assert process.returncode == 0
    assert [bool(record.tags) for record in read_manifest(folder)] == [True, True, True, False, False]


def test_a_wrong_folder_is_the_users_to_mend(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "plateloop", "label", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "no manifest.jsonl there" in result.stderr
