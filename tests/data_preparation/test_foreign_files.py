"""Files as other programs write them, and as nobody should: what is read, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.convert import FORMATS, convert
from plateloop.data_preparation.formats.detect import detect
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError


def picture(path: Path, width: int = 200, height: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 120, np.uint8))


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def read(folder: Path, name: str) -> tuple[list[Record], dict[str, str]]:
    report = Report()
    return list(FORMATS[name].read(folder, report)), report.skipped


def test_kitti(tmp_path: Path) -> None:
    line = "Car 0.30 1 -1.57 10.5 20 110.25 80.75 1.6 1.7 4.2 -0.7 1.8 12.3 -1.6\n"
    for name in ("good", "short", "words", "alone"):
        if name != "alone":
            picture(tmp_path / f"training/image_2/{name}.png")
        text(tmp_path / f"training/label_2/{name}.txt", line)
    picture(tmp_path / "training/image_2/bare.png")
    text(
        tmp_path / "training/label_2/good.txt",
        line + "DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n\n",
    )
    text(tmp_path / "training/label_2/short.txt", line + "Car 0 0 0 1 2 3 4\n")
    text(tmp_path / "training/label_2/words.txt", line.replace("20", "twenty"))
    assert detect(tmp_path) == "kitti"
    (record,), skipped = read(tmp_path, "kitti")
    assert (record.file, record.split) == ("training/image_2/good.png", "train")
    (car,) = record.vehicles
    assert (car.label, car.box) == ("Car", (10.5, 20, 110.25, 80.75))
    assert car.attributes["truncation"] == "0.30"
    assert car.attributes["z_m"] == "12.3"
    assert record.ignore_vehicles == record.ignore_plates == ((1, 2, 3, 4),)
    assert skipped == {
        "training/label_2/short.txt": "line 2: 8 columns, not 15",
        "training/label_2/words.txt": "line 1: could not convert string to float: 'twenty'",
        "training/label_2/alone.txt": "no picture alone in image_2",
        "training/image_2/bare.png": "no label file",
    }


def test_yolo_boxes_as_roboflow_exports_them(tmp_path: Path) -> None:
    text(
        tmp_path / "data.yaml",
        "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['plate', 'car']\n",
    )
    for name in ("train/images/a", "valid/images/b", "valid/images/c", "train/images/none"):
        picture(tmp_path / f"{name}.jpg")
    text(tmp_path / "train/labels/a.txt", "1 0.5 0.5 0.5 0.5\n0 0.25 0.5 0.1 0.1\n")
    text(tmp_path / "valid/labels/b.txt", "7 0.5 0.5 0.5 0.5\n")
    text(tmp_path / "valid/labels/c.txt", "1 0.5 0.5 nan 0.5\n")
    assert detect(tmp_path) == "yolo"
    records, skipped = read(tmp_path, "yolo")
    a, none = sorted(records, key=lambda record: record.file)
    assert (a.split, a.vehicles[0].label, a.vehicles[0].box) == ("train", "car", (50, 25, 150, 75))
    assert (a.plates[0].box, a.plates[0].attributes) == ((40, 45, 60, 55), {"label": "plate"})
    assert (none.vehicles, none.plates) == ((), ())
    assert skipped == {
        "valid/labels/b.txt": "line 1: class 7 has no name",
        "valid/labels/c.txt": "line 1: nan is no coordinate",
    }


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        ("kpt_shape: [4, 2]", "0.2 0.4 0.3 0.4 0.3 0.6 0.2 0.6"),
        ("kpt_shape: [4, 3]", "0.2 0.4 2 0.3 0.4 2 0.3 0.6 1 0.2 0.6 2"),
        ("", "0.2 0.4 0.3 0.4 0.3 0.6 0.2 0.6"),
    ],
)
def test_yolo_corners(shape: str, columns: str, tmp_path: Path) -> None:
    text(tmp_path / "data.yaml", f"names: {{0: license_plate}}\n{shape}\n")
    picture(tmp_path / "images/a.jpg")
    text(tmp_path / "labels/a.txt", f"0 {'0.25 0.5 0.1 0.2 ' if shape else ''}{columns}\n")
    (record,), skipped = read(tmp_path, "yolo")
    assert not skipped
    (plate,) = record.plates
    assert plate.box == (40, 40, 60, 60)
    assert plate.corners == ((40, 40), (60, 40), (60, 60), (40, 60))


VOC = """<annotation><folder>x</folder><filename>{name}.jpg</filename>
<source><database>My plates</database></source>
<size><width>{width}</width><height>100</height><depth>3</depth></size>
<object><name>licence</name><pose>Left</pose><truncated>0</truncated><difficult>1</difficult>
<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>40</ymax></bndbox></object>
<object><name>number_plate</name>
<bndbox><xmin>10.5</xmin><ymin>20</ymin><xmax>60</xmax><ymax>40</ymax></bndbox>
<attributes><attribute><name>text</name><value>B-XY 12</value></attribute></attributes>
</object></annotation>"""


def test_voc(tmp_path: Path) -> None:
    for name in ("a", "wrong", "broken", "cut"):
        picture(tmp_path / f"JPEGImages/{name}.jpg")
        text(
            tmp_path / f"Annotations/{name}.xml", VOC.format(name=name, width=300 if name == "wrong" else 200)
        )
    text(tmp_path / "Annotations/broken.xml", VOC[:150])
    text(tmp_path / "Annotations/cut.xml", VOC.format(name="cut", width=200).replace("<xmax>60</xmax>", ""))
    text(tmp_path / "Annotations/lost.xml", VOC.format(name="lost", width=200))
    picture(tmp_path / "JPEGImages/bare.jpg")
    text(tmp_path / "ImageSets/Main/val.txt", "a\n")
    text(tmp_path / "ImageSets/Main/plate_val.txt", "a  1\n")
    assert detect(tmp_path) == "voc"
    (record,), skipped = read(tmp_path, "voc")
    assert (record.file, record.split, record.source) == ("JPEGImages/a.jpg", "val", "My plates")
    assert record.vehicles[0].attributes == {"pose": "Left", "difficult": "1"}
    (plate,) = record.plates
    assert (plate.box, plate.text) == ((10.5, 20, 60, 40), "BXY12")
    assert plate.attributes == {"label": "number_plate", "raw_text": "B-XY 12"}
    assert skipped.keys() == {f"Annotations/{n}.xml" for n in ("broken", "cut", "lost", "wrong")} | {
        "JPEGImages/bare.jpg"
    }
    assert skipped["Annotations/wrong.xml"] == "says 300×100, the picture has 200×100"
    assert skipped["Annotations/lost.xml"] == "no picture lost.jpg"
    assert skipped["Annotations/broken.xml"].startswith("no well-formed XML")
    assert skipped["Annotations/cut.xml"] == "nan is no coordinate"


def test_coco(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{n}.jpg", "width": 200, "height": 100} for i, n in enumerate("abc")]
    images[0] |= {"license": 4, "date_captured": "2020"}
    plate = {"id": 1, "image_id": 0, "category_id": 9, "bbox": [10, 20, 30, 10], "area": 300, "iscrowd": 0}
    plate |= {
        "segmentation": [[10, 20, 40, 20, 40, 30, 10, 30]],
        "attributes": {"text": "AB 1", "dirty": True},
    }
    crowd = {"id": 2, "image_id": 0, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1}
    bad = {"id": 3, "image_id": 1, "category_id": 77, "bbox": [0, 0, 5, 5]}
    content = {
        "images": images,
        "annotations": [plate, crowd, bad],
        "categories": [{"id": 9, "name": "License Plate"}, {"id": 3, "name": "car"}],
        "licenses": [{"id": 4, "name": "CC0"}],
    }
    text(tmp_path / "annotations/instances_val2017.json", json.dumps(content))
    text(tmp_path / "annotations/broken.json", "{")
    picture(tmp_path / "val2017/a.jpg")
    picture(tmp_path / "val2017/b.jpg")
    assert detect(tmp_path) == "coco"
    (record,), skipped = read(tmp_path, "coco")
    assert (record.license, record.attributes) == ("CC0", {"date_captured": "2020"})
    assert record.ignore_vehicles == ((0, 0, 5, 5),)
    (found,) = record.plates
    assert (found.box, found.text) == ((10, 20, 40, 30), "AB1")
    assert found.corners == ((10, 20), (40, 20), (40, 30), (10, 30))
    assert found.attributes == {"label": "License Plate", "raw_text": "AB 1", "dirty": "true"}
    assert set(skipped.values()) >= {"annotation 3: no category 77", "no picture c.jpg"}
    assert len(skipped) == 3


CVAT = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task/></meta>
<image id="0" name="deep/a.jpg" subset="Validation" width="200" height="100">
<box label="car" source="manual" occluded="1" xtl="1.00" ytl="2.00" xbr="90.00" ybr="80.00" z_order="0">
<attribute name="color">red</attribute></box>
<polygon label="plate" source="manual" occluded="0" points="10.00,20.00;40.00,21.00;40.00,30.00;10.00,29.00">
<attribute name="text">KA 01</attribute></polygon>
<box label="plate" occluded="0" xtl="10" ytl="40" xbr="30" ybr="60" rotation="90.00"></box>
<points label="car" points="1,2"></points><tag label="night"></tag></image>
<image id="1" name="b.jpg" width="200" height="100"><box label="car" xtl="1" ytl="2" xbr="3"></box></image>
"""


def test_cvat(tmp_path: Path) -> None:
    text(tmp_path / "annotations.xml", CVAT)
    picture(tmp_path / "images/deep/a.jpg")
    picture(tmp_path / "images/b.jpg")
    assert detect(tmp_path) == "cvat"
    report = Report()
    (record,) = FORMATS["cvat"].read(tmp_path, report)
    assert (record.split, record.tags) == ("val", ("night",))
    assert (record.vehicles[0].color, record.vehicles[0].attributes) == ("red", {"occluded": "1"})
    first, turned = record.plates
    assert (first.box, first.text) == ((10, 20, 40, 30), "KA01")
    assert first.corners == ((10, 20), (40, 21), (40, 30), (10, 29))
    # A quarter turn clockwise: its own top left is now the top right.
    assert turned.corners == ((30, 40), (30, 60), (10, 60), (10, 40))
    assert +report.lost == {"shapes of kind points": 1}
    assert report.skipped["annotations.xml: b.jpg"] == "lacks 'ybr'"
    assert report.skipped["annotations.xml"].startswith("no well-formed XML")


def test_labelme(tmp_path: Path) -> None:
    def shape(label: str, kind: str, points: list[list[float]], **more: Any) -> dict[str, Any]:
        return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}} | more

    content = {
        "version": "5.4.1",
        "flags": {"night": True, "rain": False},
        "shapes": [
            shape("truck", "rectangle", [[90, 80], [10, 20]], group_id=3),
            shape("LP", "polygon", [[10, 20], [40, 20], [40, 30], [10, 30]], description="ab-12"),
            shape("sun", "circle", [[1, 2], [3, 4]]),
        ],
        "imagePath": "..\\photos\\a.jpg",
        "imageData": None,
        "imageHeight": 100,
        "imageWidth": 200,
    }
    text(tmp_path / "a.json", json.dumps(content))
    text(tmp_path / "b.json", json.dumps(content | {"shapes": [{"label": "x"}]}))
    text(tmp_path / "c.json", "[1, 2]")
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / f"{name}.jpg")
    assert detect(tmp_path) == "labelme"
    (record,), skipped = read(tmp_path, "labelme")
    assert record.tags == ("night",)
    assert (record.vehicles[0].box, record.vehicles[0].attributes) == ((10, 20, 90, 80), {"group_id": "3"})
    assert record.plates[0].text == "AB12"
    assert skipped == {
        "b.json": "lacks 'points'",
        "c.json": "no LabelMe: lacks `shapes`",
        "d.jpg": "no annotation file",
    }


def test_label_studio(tmp_path: Path) -> None:
    sides = {"original_width": 200, "original_height": 100, "image_rotation": 0, "to_name": "image"}
    results = [
        {"id": "p", "type": "polygonlabels", "from_name": "label", **sides}
        | {"value": {"points": [[5, 20], [20, 20], [20, 30], [5, 30]], "polygonlabels": ["Plate"]}},
        {"id": "p", "type": "textarea", "from_name": "transcription", **sides, "value": {"text": ["МК 12"]}},
        {"id": "c", "type": "rectanglelabels", "from_name": "label", **sides}
        | {"value": {"x": 50, "y": 20, "width": 40, "height": 60, "rotation": 0, "rectanglelabels": ["car"]}},
        {"type": "relation", "from_id": "p", "to_id": "c"},
    ]
    old = {"result": [], "was_cancelled": True}
    tasks = [
        {
            "id": 5,
            "data": {"image": "/data/upload/2/1a2b3c4d-a%20b.jpg", "camera": 7},
            "annotations": [{"result": results}, old],
        },
        {"id": 6, "data": {"image": "/data/local-files/?d=photos/a%20b.jpg"}, "annotations": []},
        {"id": 7, "data": {"text": "x"}},
        "what",
    ]
    text(tmp_path / "export.json", json.dumps(tasks))
    picture(tmp_path / "a b.jpg")
    assert detect(tmp_path) == "labelstudio"
    (record,), skipped = read(tmp_path, "labelstudio")
    assert record.attributes == {"camera": "7"}
    assert record.vehicles[0].box == (100, 20, 180, 80)
    (plate,) = record.plates
    # Cyrillic letters are none of A-Z: only the figures are left, and the source's own text.
    assert (plate.text, plate.attributes["raw_text"]) == ("12", "МК 12")
    assert plate.corners == ((10, 20), (40, 20), (40, 30), (10, 30))
    assert skipped["export.json: task 6"] == "no annotation"
    assert skipped["export.json: task 7"] == "lacks data.image"
    assert len(skipped) == 3


def test_ccpd(tmp_path: Path) -> None:
    name = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15"
    picture(tmp_path / f"ccpd_green/train/{name}.jpg", 720, 1160)
    picture(tmp_path / f"ccpd_green/train/{name.replace('0_0_22', '0_99_22')}.jpg", 720, 1160)
    picture(tmp_path / "ccpd_green/train/holiday.jpg")
    assert detect(tmp_path) == "ccpd"
    (record,), skipped = read(tmp_path, "ccpd")
    (plate,) = record.plates
    assert (plate.text, plate.attributes["raw_text"], record.split) == ("AY339S", "皖AY339S", "train")
    assert plate.box == (154, 383, 386, 473)
    assert plate.corners == ((154, 383), (363, 402), (386, 473), (177, 454))
    assert set(skipped.values()) == {
        "no CCPD text: 0_99_22_27_27_33_16",
        "no CCPD name: 7 parts between hyphens are needed",
    }


def test_text_formats(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / f"lprnet/image/{name}.jpg", 94, 24)
        picture(tmp_path / f"pairs/{name}.jpg", 94, 24)
    for folder in ("lprnet/label", "pairs"):
        text(tmp_path / folder / "a.txt", "\ufeffab-12\r\n")
        text(tmp_path / folder / "b.txt", "AB\nCD\n")
        text(tmp_path / folder / "c.txt", "\n")
    text(tmp_path / "lprnet/us_lp_characters.txt", "A\nB\n")
    for name in ("lprnet", "pairs"):
        assert detect(tmp_path / name) == name
        (record,), skipped = read(tmp_path / name, name)
        assert (record.plates[0].text, record.plates[0].box) == ("AB12", (0, 0, 94, 24))
        assert sorted(skipped.values()) == ["0 lines of text, not one", "2 lines of text, not one"]

    picture(tmp_path / "ocr/images/x.jpg", 94, 24)
    text(tmp_path / "ocr/gt_list.txt", "images/x.jpg\tXY 9\nnowhere.jpg\tA\nno tab here\nx.jpg\t\n")
    assert detect(tmp_path / "ocr") == "ocrnet"
    (record,), skipped = read(tmp_path / "ocr", "ocrnet")
    assert record.plates[0].text == "XY9"
    assert skipped == {
        "gt_list.txt:2": "no picture nowhere.jpg",
        "gt_list.txt:3": "no tab between path and text",
        "gt_list.txt:4": "an empty text",
    }

    for name in ("AB-123_7.jpg", "京A1 (2).png", "_x.jpg"):
        picture(tmp_path / "names" / name, 94, 24)
    records, skipped = read(tmp_path / "names", "names")
    assert {record.plates[0].text for record in records} == {"AB123", "A1"}
    assert skipped == {"_x.jpg": "an empty text"}


def test_openalpr(tmp_path: Path) -> None:
    picture(tmp_path / "us/car1.jpg")
    text(tmp_path / "us/car1.txt", "car1.jpg\t10\t20\t30\t12\tABC1234\n")
    picture(tmp_path / "us/car2.jpg")
    text(tmp_path / "us/car2.txt", "car2.jpg 10 20 30 12 ABC1234\n")
    assert detect(tmp_path) == "openalpr"
    (record,), skipped = read(tmp_path, "openalpr")
    assert (record.plates[0].box, record.plates[0].text) == ((10, 20, 40, 32), "ABC1234")
    assert skipped == {"us/car2.txt": "line 1: 1 columns between tabs, not 6"}


def test_csv(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"images/{name}.jpg", 94, 24)
    text(
        tmp_path / "labels.csv",
        'image_path;label;country;note\na.jpg;"AB ""1""";DE;x\nb.jpg;CD2;;\nc.jpg;EF3;;\n',
    )
    assert detect(tmp_path) == "csv"
    (a, b), skipped = read(tmp_path, "csv")
    assert (a.plates[0].text, a.plates[0].region, a.plates[0].attributes["note"]) == ("AB1", "DE", "x")
    assert b.plates[0].text == "CD2"
    assert skipped == {"labels.csv: c.jpg": "no picture c.jpg"}
    text(tmp_path / "labels.csv", "a.jpg,AB1,FR\nb.jpg,CD2\n")
    (a, b), _ = read(tmp_path, "csv")
    assert (a.plates[0].region, b.plates[0].region) == ("FR", None)


def test_manifest(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    rows = [{"file": "a.jpg", "width": 200, "height": 100}, {"file": "b.jpg", "width": 1, "height": 1}]
    rows += [{"file": "../a.jpg", "width": 1, "height": 1}, {"file": "a.jpg", "width": "wide", "height": 1}]
    text(tmp_path / "manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows) + "{")
    (record,), skipped = read(tmp_path, "manifest")
    assert record.file == "a.jpg"
    assert skipped.keys() == {"b.jpg", "../a.jpg", "manifest.jsonl:4", "manifest.jsonl:5"}


@pytest.mark.parametrize("name", [n for n in FORMATS if n not in ("pairs", "names", "ccpd")])
def test_a_folder_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=str(tmp_path)):
        read(tmp_path, name)
    assert detect(tmp_path) == "pictures"


def test_plain_pictures_say_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "in/deep/a.jpg")
    text(tmp_path / "in/b.jpg", "no picture")
    report = convert(tmp_path / "in", tmp_path / "out", "pictures", "manifest")
    (record,), _ = read(tmp_path / "out", "manifest")
    assert not record.vehicles_annotated
    assert not record.plates_annotated
    assert report.skipped == {"b.jpg": "no picture that can be read"}


def test_folders_must_lie_apart(tmp_path: Path) -> None:
    picture(tmp_path / "in/a.jpg")
    for source, target in (("in", "in"), ("in", "in/out"), ("in", "."), ("none", "out"), ("in", "in/a.jpg")):
        with pytest.raises(UserError):
            convert(tmp_path / source, tmp_path / target, "pictures", "manifest")
    with pytest.raises(UserError, match="no such format"):
        convert(tmp_path / "in", tmp_path / "out", "pictures", "tfrecord")
