"""LPRNet folders, as NVIDIA TAO reads them: ``image/NAME``, ``label/NAME.txt`` and a list of characters.

https://docs.nvidia.com/tao/tao-toolkit/text/character_recognition/lprnet.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats import crops
from plateloop.data_preparation.formats.crops import crop, place_for_tao
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import Split, bases, beside, relative
from plateloop.data_preparation.placing import TAO
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

HOLDS = crops.HOLDS


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures with a label file, in ``folder`` and its split folders.

    Raises UserError where no ``label`` (or ``labels``) folder is there.
    """
    found = False
    for base, split in bases(folder):
        labels = next((base / name for name in ("label", "labels") if (base / name).is_dir()), None)
        pictures = next((base / name for name in ("image", "images") if (base / name).is_dir()), base)
        if labels is None:
            continue
        found = True
        for path in sorted(labels.glob("*.txt")):
            picture = beside(pictures, path.stem)
            if picture is None:
                report.skip(relative(path, folder), f"no picture {path.stem} in {pictures.name}")
            else:
                record = report.attempt(relative(path, folder), labelled, path, picture, folder, split)
                if record is not None:
                    yield record
        for path in sorted(pictures.iterdir()):
            if path.suffix.lower() in TAO and not (labels / f"{path.stem}.txt").is_file():
                report.skip(relative(path, folder), "no label file")
    if not found:
        raise UserError(f"{folder}: no folder `label` there, as LPRNet has beside `image`")


def labelled(path: Path, picture: Path, folder: Path, split: Split | None) -> Record:
    """The crop ``picture`` whose text is the one line of the file ``path``."""
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if len(lines) != 1:
        raise ValueError(f"{len(lines)} lines of text, not one")
    return crop(picture, folder, lines[0], split)


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``image``, ``label`` (in a folder a split) and ``characters_list.txt``."""
    for text, picture in place_for_tao(records, source, target, "image", report, link):
        labels = picture.parent.with_name("label")
        labels.mkdir(exist_ok=True)
        (labels / f"{picture.stem}.txt").write_text(f"{text}\n", encoding="utf-8")
