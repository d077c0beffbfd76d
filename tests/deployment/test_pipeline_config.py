from pathlib import Path

import pytest

from plateloop.deployment.config import PipelineConfig, load_config
from plateloop.deployment.launch import file_names
from plateloop.deployment.sources import SourceConfig
from plateloop.errors import UserError


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.yaml"
    path.write_text(text)
    return path


def test_options_override_the_page_and_the_page_the_defaults(tmp_path: Path) -> None:
    path = page(tmp_path, "sources: [{url: a.mp4, name: gate}]\nschedule: {interval: 5, min_plate: 9}\n")
    config = load_config(path, ["b.mp4"], {"schedule": {"interval": 2}, "output": {"overlay": None}})
    assert [source.url for source in config.sources] == ["a.mp4", "b.mp4"]
    assert config.sources[0].title == "gate"
    assert (config.schedule.interval, config.schedule.min_plate) == (2, 9)
    assert config.output.overlay and config.tracker == PipelineConfig().tracker


def test_an_empty_page_is_all_defaults(tmp_path: Path) -> None:
    assert load_config(page(tmp_path, "")) == PipelineConfig()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scedule: {interval: 2}", "scedule: unknown key; did you mean schedule"),
        ("schedule: {intervall: 2}", "schedule.intervall: unknown key; did you mean interval"),
        ("sources: [{ulr: a.mp4}]", "sources.0"),
        ("output: {mp4: {presett: fast}}", "output.mp4.presett: unknown key; did you mean preset"),
        ("schedule: {interval: 0}", "schedule.interval: input should be greater"),
        ("schedule: {interval: soon}", "schedule.interval"),
        ("- a\n- b", "not a page"),
        ("a: [", "not YAML"),
        ("kafka: {payload: full}", "kafka.servers: not given: HOST:PORT"),
        ("mqtt: {url: 'http://h/t'}", "mqtt.url: expected mqtt://"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(page(tmp_path, text))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.yaml"):
        load_config(tmp_path / "absent.yaml")


def test_every_key_is_described() -> None:
    def look(model: type) -> None:
        for name, info in model.model_fields.items():  # type: ignore[attr-defined]
            assert info.description, f"{model.__name__}.{name}"
            for inner in (info.annotation, *getattr(info.annotation, "__args__", ())):
                if hasattr(inner, "model_fields"):
                    look(inner)

    look(PipelineConfig)


def test_file_names_are_safe_and_distinct() -> None:
    urls = (
        "a/clip.mp4",
        "b/clip.mp4",
        "b/CLIP.mov",
        "rtsp://u:secret@h:554/ch 1?x=/../y",
        "../..",
        "кадр.mp4",
    )
    names = file_names(tuple(SourceConfig(url=url) for url in urls))
    assert len({name.lower() for name in names}) == len(urls)
    assert names[:2] == ["clip", "clip-2"]
    assert all(name and "/" not in name and not name.startswith(".") for name in names)
    assert "secret" not in " ".join(names)
