"""OCRNet lists, as NVIDIA TAO converts them: ``gt_list.txt`` with a line ``path<TAB>text`` a crop.

https://docs.nvidia.com/tao/tao-toolkit/text/character_recognition/ocrnet.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats import crops
from plateloop.data_preparation.formats.crops import crop, place_for_tao
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import (
    SPLITS,
    Split,
    locate,
    relative,
    split_of,
    walk,
)
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

HOLDS = crops.HOLDS


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The crops of every list under ``folder``: a text file whose first line has a tab.

    Raises UserError where there is none.
    """
    found = False
    for path in walk(folder, frozenset({".txt"})):
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            if "\t" not in lines.readline():
                continue
        found = True
        split = next((SPLITS[w] for w in path.stem.lower().split("_") if w in SPLITS), None)
        split = split or split_of(relative(path, folder))
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    name = f"{relative(path, folder)}:{number}"
                    record = report.attempt(name, _record, line.rstrip("\r\n"), path.parent, folder, split)
                    if record is not None:
                        yield record
    if not found:
        raise UserError(f"{folder}: no list of `path<TAB>text` lines there, as OCRNet has")


def _record(line: str, base: Path, folder: Path, split: Split | None) -> Record:
    name, tab, text = line.partition("\t")
    if not tab:
        raise ValueError("no tab between path and text")
    text.encode()
    return crop(locate(base, name.strip(), "images", "image"), folder, text, split)


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``images``, ``gt_list.txt`` (in a folder a split) and ``characters_list.txt``.

    The list's paths start from its ``images`` folder, which TAO asks for beside the list.
    """
    lists: set[Path] = set()
    for text, picture in place_for_tao(records, source, target, "images", report, link):
        partial = picture.parent.with_name("gt_list.partial")
        with partial.open("a" if partial in lists else "w", encoding="utf-8") as listing:
            listing.write(f"{picture.name}\t{text}\n")
        lists.add(partial)
    for partial in lists:
        partial.replace(partial.with_suffix(".txt"))
