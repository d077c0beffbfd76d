"""Renders synthetic number plates: flat and sharp, with the place of every character."""

from __future__ import annotations

import cv2
import numpy as np

from plateloop.data_preparation.synthetic import surface
from plateloop.data_preparation.synthetic.colors import any_color, luminance, shade
from plateloop.data_preparation.synthetic.emblems import emblem, ideogram, scribble
from plateloop.data_preparation.synthetic.field import field, footer
from plateloop.data_preparation.synthetic.free import free_style
from plateloop.data_preparation.synthetic.glyphs import Face, GlyphSet, glyph_set
from plateloop.data_preparation.synthetic.grammar import Token, check, sample
from plateloop.data_preparation.synthetic.ground import ground
from plateloop.data_preparation.synthetic.layout import Area, Placed, Spacing, arrange, inside
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.strips import bar, made_up, strip, write
from plateloop.data_preparation.synthetic.style import Style, load_styles, weighted
from plateloop.geometry import boxes_to_corners
from plateloop.types import FloatArray, Image

FREE = 0.25  # share of made-up styles in the mix


def pick_style(rng: np.random.Generator) -> Style:
    """A style of the mix: a made-up one with probability ``FREE``, else one of the package by weight."""
    if rng.random() < FREE:
        return free_style(rng)
    styles = load_styles()
    return styles[weighted(rng, {name: style.weight for name, style in styles.items()})]


def render(
    rng: np.random.Generator,
    style: Style | None = None,
    pattern: str | None = None,
    glyphs: GlyphSet | None = None,
    height: int | None = None,
    margin: float = 0.15,
) -> PlateImage:
    """Render one plate: flat, sharp, undamaged by any camera, but with a plate's own relief, dirt and shadow.

    Meant for training a reader whose degradation runs elsewhere (``degrade`` here, or on the GPU), and for
    pasting into photographs.

    Args:
        rng: all randomness comes from it: the same state gives the same plate (with the same faces).
        style: what kind of plate; None draws one of the mix (``pick_style``).
        pattern: the text in the signs of ``grammar`` (``'AB'-'123'`` for AB123); None draws one of the
            style's.
        glyphs: the faces; None takes the drawn ones, and those of ``PLATELOOP_GLYPHS`` if that is set.
        height: of the plate in pixels; None draws 64 to 96 (one row) or 84 to 120 (two).
        margin: at most this share of the plate's size is added on each side, in a bumper's colour (so
            ``corners`` lie inside the picture); 0 gives the plate alone.

    Returns a ``PlateImage`` whose ``region`` is the style's.
    """
    style = style or pick_style(rng)
    glyphs = glyphs or glyph_set()
    if pattern:
        check(pattern, style.codes)
    pattern = pattern or weighted(rng, style.patterns)
    rows = [row for row in sample(rng, pattern, style.letters, style.digits, style.codes) if row]
    two = len(rows) > 1
    size = weighted(rng, style.two_row_sizes if two else style.sizes).split("x")
    tall = height or int(rng.integers(84, 121) if two else rng.integers(64, 97))
    wide = round(tall * float(size[0]) / float(size[1]))
    face = glyphs.choose(rng, style.families, float(rng.uniform(*style.aspect)), style.fonts)

    names = weighted(rng, style.colors).split("/")
    base, ink = shade(rng, names[0]), shade(rng, names[1])
    apart = luminance(base) - luminance(ink)
    if abs(apart) < 70:
        push = (np.sign(apart) or 1) * (80 - abs(apart)) / 2
        base, ink = np.clip(base + push, 0, 255), np.clip(ink - push, 0, 255)
    canvas = ground(rng, weighted(rng, style.ground), (wide, tall), base)
    bordered = rng.random() < style.border
    inset = tall * float(rng.uniform(0.035, 0.06) if bordered else rng.uniform(0.01, 0.05))
    area = Area(inset, inset, wide - 2 * inset, tall - 2 * inset)
    prints = glyphs.choose(rng, (), 0.55, 0.7)
    area = strip(rng, canvas, weighted(rng, style.left), area, prints, True)
    area = strip(rng, canvas, weighted(rng, style.right), area, prints, False)
    area = bar(rng, canvas, weighted(rng, style.top), area, prints, style.words, ink, True)
    area = bar(rng, canvas, weighted(rng, style.bottom), area, prints, style.words, ink, False)

    placed = [inside(row, wide, tall) for row in _place(rng, style, rows, face, area, tall)]
    alpha = np.zeros((tall, wide), np.uint8)
    _draw(rng, style, placed, face, canvas, alpha, ink)
    chars = [p for row in placed for p in row if p.text]
    row_of = tuple(r for r, row in enumerate(placed) for p in row if p.text)
    if rng.random() < style.stickers:
        _stickers(rng, canvas)
    if rng.random() < style.screws:
        surface.screws(rng, canvas, two)
    radius = tall * float(rng.uniform(*style.rounded))
    lines = alpha.copy()
    if two and style.divider and rng.random() < style.divider:
        _divide(rng, lines, placed)
    if bordered:
        _border(rng, lines, inset, radius)
    image = _finish(rng, style, canvas, lines, ink)
    boxes = np.array([[p.x, p.y, p.x + p.width, p.y + p.height] for p in chars], np.float32).reshape(-1, 4)
    plate = PlateImage(
        image=image,
        corners=boxes_to_corners(np.array([0, 0, wide, tall], np.float32)),
        text="".join(p.text for p in chars),
        region=style.region,
        rows=len(rows),
        char_corners=boxes_to_corners(boxes),
        char_rows=row_of,
        style=style.name,
    )
    return _surround(rng, plate, margin, radius, prints)


def _place(
    rng: np.random.Generator, style: Style, rows: list[list[Token]], face: Face, area: Area, tall: int
) -> list[list[Placed]]:
    """Each row's tokens in their places."""
    spacing = Spacing(
        aspect=float(np.clip(rng.uniform(*style.aspect), face.width * 0.7, face.width * 1.4)),
        tracking=float(rng.uniform(*style.tracking)),
        gap=float(rng.uniform(*style.gap)),
        dash=float(rng.uniform(0.2, 0.42)),
        dot=float(rng.uniform(0.14, 0.26)),
        emblem=float(rng.uniform(0.36, 0.7)),
        word=float(rng.uniform(1.2, 2.0)),
        even=rng.random() < 0.4,
        letter_scale=style.letter_scale,
        box_scale=float(rng.uniform(0.66, 0.8)),
        box_drop=0.15 if style.boxed else 0.5,
    )
    fill = float(rng.uniform(*style.fill))
    align = float(np.clip(rng.normal(0.5, 0.08), 0, 1))
    if len(rows) == 1:
        high = min(tall * float(rng.uniform(*style.height)), area.height * 0.95)
        slack = area.height - high
        y = area.y + slack * float(np.clip(rng.normal(0.5, 0.08), 0.1, 0.9))
        return [arrange(rows[0], face, Area(area.x, y, area.width, high), high, spacing, fill, align)]
    heights = [tall * float(rng.uniform(*r)) for r in style.two_row_heights]
    room = area.height * 0.96
    if sum(heights) > room * 0.9:
        heights = [h * room * 0.9 / sum(heights) for h in heights]
    space = (area.height - sum(heights)) / 3
    placed, y = [], area.y + space * float(rng.uniform(0.8, 1.2))
    for row, high in zip(rows, heights, strict=True):
        placed.append(arrange(row, face, Area(area.x, y, area.width, high), high, spacing, fill, align))
        y += high + space * float(rng.uniform(0.8, 1.1))
    return placed


def _draw(
    rng: np.random.Generator,
    style: Style,
    placed: list[list[Placed]],
    face: Face,
    canvas: Image,
    alpha: Image,
    ink: FloatArray,
) -> None:
    """Draw characters and separators into ``alpha``, emblems and other scripts into ``canvas`` (in place)."""
    thick = max(1, round(alpha.shape[0] * rng.uniform(0.03, 0.07)))
    dash = rng.uniform(0.5, 1.0)
    kind = weighted(rng, style.emblem)
    tall, wide = alpha.shape
    for row in placed:
        high = max(p.height for p in row)
        middle = float(np.median([p.y + p.height / 2 for p in row]))
        for p in row:
            box = p.x, middle - high / 2, p.width, high
            x, y = round(p.x), round(p.y)
            if p.kind == "char":
                # A tall character of a small plate may outgrow it.
                size = min(wide, max(1, round(p.width))), min(tall, max(1, round(p.height)))
                mask = face.sized(p.text, *size)
                x, y = min(max(x, 0), wide - mask.shape[1]), min(max(y, 0), tall - mask.shape[0])
                part = alpha[y : y + mask.shape[0], x : x + mask.shape[1]]
                np.maximum(part, mask, out=part)
            elif p.kind == "dash":
                at = round(middle + high * (dash - 0.75) * 0.2)
                left, right = round(p.x + p.width * (1 - dash) / 2), round(p.x + p.width * (1 + dash) / 2)
                alpha[at - thick // 2 : at - thick // 2 + thick, left:right] = 255
            elif p.kind in ("dot", "low"):
                level = middle if p.kind == "dot" else middle + high * 0.44
                center = round((p.x + p.width / 2) * 8), round(level * 8)
                cv2.circle(alpha, center, round(thick * rng.uniform(5, 8)), 255, -1, cv2.LINE_AA, 3)
            elif p.kind == "emblem":
                emblem(rng, canvas, kind, box, ink)
            elif p.kind == "word":
                scribble(rng, canvas, box, ink)
            elif p.kind == "glyph":
                ideogram(rng, canvas, box, ink)
            elif p.kind == "box":
                field(rng, row[row.index(p) :], p is row[0], len(placed) > 1, alpha)
                if style.boxed and len(placed) == 1:
                    footer(rng, row[row.index(p) :], style.boxed, canvas, ink)


def _stickers(rng: np.random.Generator, canvas: Image) -> None:
    """Month and year stickers in corners."""
    height, width = canvas.shape[:2]
    for left, top in ((True, True), (False, True), (True, False), (False, False)):
        if rng.random() < 0.4:
            w, h = height * rng.uniform(0.12, 0.24), height * rng.uniform(0.1, 0.18)
            x, y = (width * 0.03 if left else width * 0.97 - w), (height * 0.05 if top else height * 0.95 - h)
            color = any_color(rng)
            canvas[round(y) : round(y + h), round(x) : round(x + w)] = color.astype(np.uint8)
            face = GlyphSet().choose(rng, ("din",), 0.55, 0.0)
            word = str(rng.choice(["JAN", "MAY", "AUG", "OCT", "DEC", "12", "05", "98", "16", "21"]))
            dark = 255 - color if luminance(color) > 150 or luminance(color) < 100 else shade(rng, "white")
            write(canvas, word, Area(x + w * 0.1, y + h * 0.2, w * 0.8, h * 0.6), face, dark, 0.5, 0.5)


def _divide(rng: np.random.Generator, alpha: Image, placed: list[list[Placed]]) -> None:
    """Add a line between the rows to ``alpha`` (in place)."""
    tall, wide = alpha.shape
    above, below = max(p.y + p.height for p in placed[0]), min(p.y for p in placed[1])
    y, reach = round((above + below) / 2), wide * rng.uniform(0.08, 0.4)
    middle = wide * rng.uniform(0.45, 0.55)
    thick = max(1, min(round(tall * rng.uniform(0.01, 0.03)), round((below - above) / 3)))
    cv2.line(alpha, (round(middle - reach), y), (round(middle + reach), y), 255, thick)


def _border(rng: np.random.Generator, alpha: Image, inset: float, radius: float) -> None:
    """Add a border line to ``alpha`` (in place)."""
    tall, wide = alpha.shape
    outer = inset * rng.uniform(0.15, 0.5)
    thick = max(1.0, (inset - outer) * rng.uniform(0.4, 0.9))
    ring = rounded((wide, tall), outer, radius)
    ring -= rounded((wide, tall), outer + thick, radius - thick)
    np.maximum(alpha, ring, out=alpha)


def rounded(size: tuple[int, int], inset: float, radius: float) -> Image:
    """A mask (H, W) of ``size`` (width, height): 255 in a rounded rectangle ``inset`` from the edges."""
    wide, tall = size
    mask = np.zeros((tall, wide), np.uint8)
    r = max(0.0, radius)
    x1, y1, x2, y2 = inset + r, inset + r, wide - inset - r, tall - inset - r
    angle = np.linspace(-np.pi / 2, 3 * np.pi / 2, 28).reshape(4, 7)
    centers = np.array([(x2, y1), (x2, y2), (x1, y2), (x1, y1)])[:, None]
    outline = (centers + r * np.stack([np.cos(angle), np.sin(angle)], -1)).reshape(-1, 2) - 0.5
    cv2.fillPoly(mask, [np.round(outline * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return mask


def _finish(rng: np.random.Generator, style: Style, canvas: Image, alpha: Image, ink: FloatArray) -> Image:
    """Ink the characters, and let the surface live."""
    tall, wide = alpha.shape
    shown = surface.worn(rng, alpha) if rng.random() < 0.07 else alpha
    cover = shown[..., None].astype(np.float32) * np.float32(1 / 255)
    image = canvas.astype(np.float32)
    if rng.random() < style.halo:
        tone = any_color(rng) if rng.random() < 0.3 else ink * 0.35 + (0 if luminance(ink) > 128 else 90)
        image = surface.halo(rng, image, alpha, tone.astype(np.float32))
    image += (ink - image) * cover
    if rng.random() < style.emboss:
        image += surface.relief(rng, alpha, tall)[..., None]
    if rng.random() < 0.15:
        image = surface.dirt(rng, image, float(rng.uniform(0.1, 0.5)))
    if rng.random() < 0.4:
        image *= surface.light(rng, (wide, tall))[..., None]
    if rng.random() < 0.1:
        image *= surface.shadow(rng, (wide, tall))[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _surround(
    rng: np.random.Generator, plate: PlateImage, margin: float, radius: float, face: Face
) -> PlateImage:
    """Put the plate on a bumper, sometimes in a holder with a dealer's name."""
    tall, wide = plate.image.shape[:2]
    left, top, right, bottom = (round(float(rng.uniform(0, margin)) * s) for s in (wide, tall, wide, tall))
    size = wide + left + right, tall + top + bottom
    body = str(
        rng.choice(["charcoal", "black", "grey", "silver", "white", "blue", "red", "darkblue", "brown"])
    )
    around = any_color(rng) * 0.7 if rng.random() < 0.15 else shade(rng, body, 25)
    image = np.asarray(surface.light(rng, size)[..., None] * around, np.float32)
    if margin and rng.random() < 0.3:
        frame = (
            any_color(rng)
            if rng.random() < 0.2
            else shade(rng, str(rng.choice(["black", "charcoal", "silver"])))
        )
        lip = tall * float(rng.uniform(0.03, 0.08))
        low = tall * float(rng.uniform(0.03, 0.16))
        x1, y1, x2, y2 = (round(v) for v in (left - lip, top - lip, left + wide + lip, top + tall + low))
        image[max(0, y1) : y2, max(0, x1) : x2] = frame
        if low > tall * 0.08 and bottom > 5:
            canvas = np.clip(image, 0, 255).astype(np.uint8)
            pen = shade(rng, "white") if luminance(frame) < 128 else shade(rng, "black")
            line = Area(left + wide * 0.1, top + tall + low * 0.2, wide * 0.8, min(low, bottom) * 0.6)
            write(canvas, made_up(rng), line, face, pen, 0.6, 0.5)
            image = canvas.astype(np.float32)
    mask = rounded((wide, tall), 0, radius)[..., None].astype(np.float32) * np.float32(1 / 255)
    part = image[top : top + tall, left : left + wide]
    part += (plate.image - part) * mask
    offset = np.array([left, top], np.float32)
    return PlateImage(
        image=np.clip(image, 0, 255).astype(np.uint8),
        corners=plate.corners + offset,
        text=plate.text,
        region=plate.region,
        rows=plate.rows,
        char_corners=plate.char_corners + offset,
        char_rows=plate.char_rows,
        style=plate.style,
    )
