"""The page of the last hour: its numbers, and what a person sees in Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from plateloop.deployment.analytics import MINUTES, Tally
from plateloop.deployment.lines import simulate
from plateloop.deployment.page.charts import scale, stacked
from plateloop.deployment.store import Stored
from plateloop.types import Event

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi", reason="needs the extra page")
pytest.importorskip("jinja2", reason="needs the extra page")
playwright = pytest.importorskip("playwright.sync_api")
from plateloop.deployment.page.analytics import serving_tally  # noqa: E402

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
NOW = 1_700_000_030.0

Make = Callable[..., Event]


def at(event: Event, time_s: float, sequence: int = 1) -> Stored:
    return Stored(0, sequence, 0, time_s, 0, event)


def test_a_vehicle_counts_once_by_its_newest_phase(passage: Make) -> None:
    tally = Tally()
    tally.add([at(passage("a", "begin", text=None, confidence=0.0), NOW - 130, 1)], NOW)
    tally.add([at(passage("a", "end", confidence=0.95), NOW - 10, 3)], NOW)
    # Late, and twice.
    tally.add([at(passage("a", "update", text="X", confidence=0.3), NOW - 60, 2)] * 2, NOW)
    summary = tally.summary(NOW)
    assert (summary.vehicles, summary.read, summary.confidence) == (1, 1, 0.95)
    assert summary.minutes[MINUTES - 3] == (1, 0) and sum(map(sum, summary.minutes)) == 1
    assert summary.confidences[19] == 1 and sum(summary.confidences) == 1
    assert (summary.colors, summary.labels) == ([("blue", 1)], [("car", 1)])


def test_of_one_source_only_and_of_the_last_hour_only(passage: Make) -> None:
    tally = Tally()
    tally.add([at(passage("old", "end"), NOW - 3700)], NOW)
    tally.add([at(passage(str(n), "end", source="ab"[n % 2]), NOW - n) for n in range(5)], NOW)
    assert tally.summary(NOW).vehicles == 5 and tally.summary(NOW, "a").vehicles == 3
    assert [(s.name, s.vehicles) for s in tally.summary(NOW, "b").sources] == [("a", 3), ("b", 2)]
    # A day later nothing has come: the last hour that had something.
    assert tally.summary(NOW + 86_400).vehicles == 5
    # A clock ahead moves nothing.
    tally.add([at(passage("ahead", "end"), NOW + 1e6)], NOW)
    assert tally.summary(NOW).vehicles == 6


def test_memory_has_a_bound(passage: Make) -> None:
    tally = Tally(most=100)
    event = passage("x", "end", source="s" * 10_000, text="t" * 10_000)
    for number in range(1000):
        tally.add([at(event.model_copy(update={"id": f"{number}" + "i" * 10_000}), NOW)], NOW)
    summary = tally.summary(NOW)
    assert (
        summary.vehicles == 100 and len(summary.newest[0].source) == len(summary.newest[0].text or "") == 200
    )


@pytest.mark.parametrize("most", [0, 1, 2, 7, 19, 20, 21, 999, 12345])
def test_scales_are_round_and_cover(most: int) -> None:
    ticks = scale(most)
    assert ticks[0] == 0 and ticks[-1] >= max(most, 1) and 3 <= len(ticks) <= 6
    chart = stacked([(most, 0), (0, most)], 100, 50)
    assert all(part.y >= 0 and part.y + part.height <= 50.01 for part in chart.parts)


@pytest.fixture
def busy() -> Tally:
    """An hour of made-up traffic."""
    tally, now, made = Tally(), time.time(), simulate(1e9)
    labels = ("car",) * 12 + ("truck", "truck", "bus", "motorcycle")
    for number in range(700):
        next(made)
        item = next(made)
        event = item.event
        unread = {"text": None, "confidence": 0.0} if number % 9 == 0 else {}
        assert event.vehicle is not None
        vehicle = event.vehicle.model_copy(update={"label": labels[number % len(labels)]})
        changed = event.model_copy(update={**unread, "vehicle": vehicle})
        minutes = 60 * (1 - (number / 700) ** 0.7) + number % 5
        tally.add([replace(item, time=now - 60 * min(59, minutes), event=changed)], now)
    return tally


@pytest.fixture
def page(busy: Tally, browser: Any) -> Iterator[Any]:
    with serving_tally(busy, "localhost:9092/plateloop", "127.0.0.1", 0) as url:
        opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        opened.goto(url)
        yield opened
        opened.close()


def test_the_page_follows_what_comes(page: Any, busy: Tally, passage: Make) -> None:
    page.locator("#link.running").wait_for()
    assert page.locator(".chart rect.k0").count() > 30 and page.locator(".tile b").first.inner_text() == "700"
    busy.add([at(passage("new", "end", source="gate", text="NEW1234"), time.time())], time.time())
    page.locator(".newest .plate", has_text="NEW1234").wait_for(timeout=6000)
    page.get_by_role("link", name="gate").click()
    page.locator(".tiles .button").wait_for()
    assert page.locator(".tile b").first.inner_text() == "1"


def test_what_others_wrote_is_text_and_never_markup(busy: Tally, passage: Make) -> None:
    vehicle = passage("x", "end").vehicle
    assert vehicle is not None
    hostile = vehicle.model_copy(update={"label": HOSTILE, "color": HOSTILE})
    event = passage(HOSTILE, "end", source=HOSTILE, text=HOSTILE, vehicle=hostile)
    busy.add([at(event, time.time())], time.time())
    with serving_tally(busy, HOSTILE, "127.0.0.1", 0) as url:
        for answer in (httpx.get(url), httpx.get(url, params={"source": HOSTILE})):
            assert answer.status_code == 200 and "&lt;img src=x" in answer.text
            assert "<img src=x" not in answer.text
            assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert httpx.get(url, headers={"host": "evil.example"}).status_code == 400


def test_before_anything_came_the_page_says_so() -> None:
    with serving_tally(Tally(), "t", "127.0.0.1", 0) as url:
        assert "Waiting for the first event" in httpx.get(url).text
