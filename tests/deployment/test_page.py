"""The live page: what a server answers, and what a person sees in Chromium."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plateloop.cli.main import main
from plateloop.deployment.store import Store
from plateloop.types import Event

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi", reason="needs the extra page")
pytest.importorskip("jinja2", reason="needs the extra page")
pytest.importorskip("playwright.sync_api")
from plateloop.deployment.page.app import PAGE  # noqa: E402
from plateloop.deployment.page.serve import serving_store  # noqa: E402
from plateloop.web import parse_address  # noqa: E402

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "events.db")
    yield opened
    opened.close()


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[Any]:
    with (
        serving_store(str(tmp_path / "events.db"), "127.0.0.1", 0) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


def test_what_others_wrote_is_text_and_never_markup(
    client: Any, store: Store, passage: Callable[..., Event]
) -> None:
    vehicle = passage("x", "end").vehicle.model_copy(update={"label": HOSTILE, "color": HOSTILE})
    store.append([passage(f"{HOSTILE}/../1", "end", source=HOSTILE, text=HOSTILE, vehicle=vehicle)], 1.0)
    link = "/event" + client.get("/events").text.partition('href="event')[2].partition('"')[0]
    for answer in (client.get("/"), client.get("/events"), client.get(link)):
        assert answer.status_code == 200 and "&lt;img src=x" in answer.text
        assert "<img src=x" not in answer.text and "\"'" not in answer.text and "49" not in answer.text


def test_search_pages_and_export(client: Any, store: Store, passage: Callable[..., Event]) -> None:
    now = time.time()
    store.append([passage("old", "end", text="7AB0123", source="yard")], now - 7200)
    store.append([passage(f"n{n}", "begin", text=f"XY{n:03d}") for n in range(PAGE + 5)], now)
    store.append([passage("n3", "end", text="=XY003")], now)

    def found(query: str) -> list[str]:
        text = client.get(f"/events?{query}").text
        return [part.partition('"')[0] for part in text.split('id="event-')[1:]]

    first = found("")
    assert len(first) == PAGE and first[0] == "n3" and first[1] == f"n{PAGE + 4}"
    before = client.get("/events").text.partition('data-before="')[2].partition('"')[0]
    rest = found(f"before={before}")
    assert len(rest) == 6 and rest[-1] == "old" and not set(first) & set(rest)
    assert found("plate=7ABO*") == ["old"] and found("plate=7ABO*&exact=true") == []
    assert found("plate=7AB?124&edits=1") == ["old"] and found("source=yard") == ["old"]
    assert "old" not in found("within_s=3600&plate=*01*")
    assert "No events" in client.get("/events?plate=QQQ").text
    assert client.get("/events?edits=99").status_code == 422
    assert client.get("/event?id=nobody").status_code == 404
    table = client.get("/export.csv?plate=*003")
    assert "attachment" in table.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert (row["text"], row["phase"]) == ("'=XY003", "end"), "no formula for a spreadsheet"
    assert len(client.get("/export.jsonl").text.splitlines()) == PAGE + 6
    assert client.get("/export.parquet").status_code == 422


def test_foreign_names_and_paths_get_nothing(client: Any) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "127.0.0.1.evil.example:80"}).status_code == 400
    for path in ("/..%2f..%2fapp.py", "/%2e%2e/app.py", "/templates/page.html", "/streams", "/metrics"):
        assert client.get(path).status_code == 404
    assert client.post("/events", json={}).status_code == 405
    assert client.post("/events", content="a=1").status_code == 403
    answer = client.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text and "style=" not in answer.text


def test_a_bad_address_or_store_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passing_cars: Path
) -> None:
    assert parse_address("[::1]:80") == ("::1", 80) and parse_address("9100") == ("127.0.0.1", 9100)
    with serving_store(str(_filled(tmp_path)), "127.0.0.1", 0) as url:
        taken = url.removeprefix("http://").removesuffix("/")
        run = ["run", str(passing_cars), "--out", str(tmp_path / "out"), "--http"]
        for arguments, part in (
            ([*run, taken], "cannot be served: address already in use"),
            ([*run, "127.0.0.1:99999"], "not an address to listen on"),
            (["page", str(tmp_path / "none.db")], "no such store"),
        ):
            monkeypatch.setattr("sys.argv", ["plateloop", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            lines = capsys.readouterr().err.splitlines()
            assert ended.value.code == 2 and len(lines) == 1 and part in lines[0]
    assert not (tmp_path / "out").exists()


def test_the_command_serves_until_a_signal(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "plateloop",
        "page",
        str(_filled(tmp_path)),
        "--port",
        "0",
        "--no-browser",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().partition(" at ")[2].split()[0]
        with httpx.stream("GET", f"{url}changes") as changes:
            assert next(changes.iter_lines()) == "data: 0"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0, "who follows does not hold it up"


def _filled(folder: Path) -> Path:
    Store.open(folder / "some.db").close()
    return folder / "some.db"


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[[str], Any]]:
    """``open_page(url)``: a tab on it; in the end no script has failed and nobody else was asked."""
    faults: list[str] = []
    pages = []

    def start(url: str) -> Any:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        pages.append(page)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: dialog.type == "alert" and faults.append(dialog.message))
        page.on(
            "console",
            lambda line: line.type == "error" and "409" not in line.text and faults.append(line.text),
        )
        page.on("request", lambda request: request.url.startswith(url) or faults.append(request.url))
        page.goto(url)
        return page

    yield start
    for page in pages:
        page.close()
    assert faults == []


def eventually(is_so: Callable[[], bool]) -> None:
    # Not in the page itself: its policy forbids scripts that are made of texts.
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_store_is_followed_and_searched(
    open_page: Callable[[str], Any], store: Store, tmp_path: Path, passage: Callable[..., Event]
) -> None:
    store.append([passage(f"n{n}", "end", text=f"AB{n:03d}") for n in range(PAGE + 5)], time.time())
    with serving_store(str(tmp_path / "events.db"), "127.0.0.1", 0) as url:
        page = open_page(url)
        page.locator("#event-n44").wait_for()
        page.get_by_text("Older events").click()
        page.locator("#event-n0").wait_for()
        store.append([passage("new", "begin", text=HOSTILE, source=HOSTILE)], time.time())
        page.locator("#event-new", has_text="<img").wait_for()
        assert page.locator(".event").first.get_attribute("id") == "event-new"
        assert page.locator(".event").count() == PAGE + 6, "those asked for stay"
        page.get_by_placeholder("Search a plate").fill("ab?1o")
        page.locator("#event-n10").wait_for()
        page.locator("#event-n44").wait_for(state="detached")
        assert page.locator(".event").count() == 1
        store.append([passage("other", "begin", text="QQ")], time.time())
        page.locator("#event-n10 a").click()
        dialog = page.locator("#detail")
        dialog.locator(".characters b").first.wait_for()
        assert "3047002" not in dialog.inner_text() and "AB010" in dialog.inner_text()
        page.keyboard.press("Escape")
        assert page.locator(".event").count() == 1, "what the search does not match stays out"
        with page.expect_download() as download:
            page.get_by_text("Export CSV").click()
        assert Path(download.value.path()).read_text().count("AB010") == 1
        page.close()


def test_a_run_shows_its_streams_and_events_as_they_come(
    open_page: Callable[[str], Any],
    camera: Callable[[Path], str],
    start_run: Callable[..., Any],
    passing_cars: Path,
) -> None:
    dead = "rtsp://admin:hunter2@127.0.0.1:9/cam"
    sources = [{"url": camera(passing_cars), "name": HOSTILE}, {"url": dead}]
    run = start_run({"sources": sources, "output": {"overlay": False}})
    page = open_page(run.url)
    live = page.locator(".stream", has_text="<img")
    live.locator(".state", has_text="running").wait_for()
    picture = page.locator("img[data-live]")
    eventually(lambda: picture.evaluate("image => image.naturalWidth") == 640)
    shown = picture.get_attribute("src")
    eventually(lambda: picture.get_attribute("src") != shown)
    page.locator(".stream.starting", has_text="admin:***@").wait_for()
    page.locator(".pill.good", has_text="reading plates").wait_for()
    page.locator(".event .plate", has_text="5").first.wait_for()
    seen = page.locator(".event").count()
    eventually(lambda: page.locator(".event").count() > seen)
    live.locator("a.frame").click()
    eventually(lambda: page.locator("#view img").evaluate("image => image.naturalWidth") == 640)
    page.keyboard.press("Escape")
    assert "hunter2" not in page.content()
    page.close()


def test_sources_come_and_go_where_that_is_allowed(
    open_page: Callable[[str], Any],
    camera: Callable[[Path], str],
    start_run: Callable[..., Any],
    passing_cars: Path,
) -> None:
    run = start_run({"sources": [{"url": camera(passing_cars), "name": "first"}], "http": {"control": True}})
    page = open_page(run.url)
    page.get_by_role("button", name="Add a source").click()
    dialog = page.locator("#adding")
    dialog.get_by_label("Name").fill("second")
    dialog.get_by_label("URL").fill("nowhere.mp4")
    with page.expect_response("**/sources") as answer:
        dialog.get_by_role("button", name="Add").click()
    assert answer.value.status == 409
    dialog.get_by_text("nowhere.mp4: no such file").wait_for()
    dialog.get_by_label("URL").fill(camera(passing_cars))
    dialog.get_by_role("button", name="Add").click()
    page.locator(".stream.running", has_text="second").wait_for()
    page.on("dialog", lambda asked: asked.accept())
    page.get_by_label("Remove first").click()
    page.locator(".stream.ended", has_text="first").wait_for()
    page.close()
    with httpx.Client(base_url=run.url) as client:
        source = {"url": str(passing_cars)}
        foreign = {"origin": "http://evil.example"}
        assert client.post("/sources", json=source, headers=foreign).status_code == 403
        assert client.post("/sources", data=source).status_code == 403
        assert client.post("/sources", json={"url": "x", "nickname": 1}).status_code == 422
        # A file that ends does not end the run: more may come.
        assert client.post("/sources", json=source).status_code == 201
        eventually(
            lambda: f'frames_total{{source="{passing_cars}",stream="2"}} 80.0' in client.get("/metrics").text
        )
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(10) == 0
    assert (run.folder / "second-annotated.mp4").stat().st_size > 1000


def test_sources_stay_where_nobody_allowed_more(
    camera: Callable[[Path], str], start_run: Callable[..., Any], passing_cars: Path
) -> None:
    run = start_run({"sources": [{"url": camera(passing_cars), "name": "first"}]})
    with httpx.Client(base_url=run.url) as client:
        assert client.post("/sources", json={"url": str(passing_cars)}).status_code in (404, 405)
        remove = client.request("DELETE", "/sources?name=first", headers={"content-type": "application/json"})
        assert remove.status_code in (404, 405)
        assert "Add a source" not in client.get("/streams").text
