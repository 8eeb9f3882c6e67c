"""The mark (two rails and a travelling dot) and the nine state glyphs, drawn as paths in a box of 64 by 64.

One source for tray, window and files: `python -m app.marks DIR` writes the SVG and PNG files of `resources/icons`.
A state is told by its shape alone; colour only repeats it. Paused is the rails set upright.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPainterPath, QPainterPathStroker, QPixmap

from app.present import Shape
from app.theme import Scheme, Tokens, load_tokens

BOX = 64.0
TRAY_SIZES_PX = (16, 22, 24, 32, 48, 64)
_RAIL_Y = (18.0, 46.0)
_RAIL_WIDTH = 7.0


def _stroke(path: QPainterPath, width: float, cap: Qt.PenCapStyle = Qt.PenCapStyle.RoundCap) -> QPainterPath:
    stroker = QPainterPathStroker()
    stroker.setWidth(width)
    stroker.setCapStyle(cap)
    stroker.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return stroker.createStroke(path).simplified()


def _line(first: tuple[float, float], second: tuple[float, float], width: float = _RAIL_WIDTH) -> QPainterPath:
    path = QPainterPath(QPointF(*first))
    path.lineTo(QPointF(*second))
    return _stroke(path, width)


def _disc(x: float, y: float, radius: float) -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QPointF(x, y), radius, radius)
    return path


def _rails(start: float = 6.0, end: float = 58.0) -> QPainterPath:
    return _line((start, _RAIL_Y[0]), (end, _RAIL_Y[0])) | _line((start, _RAIL_Y[1]), (end, _RAIL_Y[1]))


def _arc(span_degrees: float) -> QPainterPath:
    path = QPainterPath()
    box = QRectF(8, 8, 48, 48)
    path.arcMoveTo(box, 90.0)
    path.arcTo(box, 90.0, -span_degrees)
    return _stroke(path, 8.0)


def _upright() -> QPainterPath:
    return _line((20, 12), (20, 52), 11.0) | _line((44, 12), (44, 52), 11.0)


def _triangle() -> QPainterPath:
    path = QPainterPath(QPointF(32, 10))
    path.lineTo(QPointF(57, 54))
    path.lineTo(QPointF(7, 54))
    path.closeSubpath()
    return _stroke(path, 7.0) | _line((32, 28), (32, 38), 6.5) | _disc(32, 46.5, 3.6)


def _slash() -> QPainterPath:
    gap = _line((50, 6), (14, 58), 19.0)
    return (_rails() - gap) | _line((50, 6), (14, 58), 8.0)


def _exclamation() -> QPainterPath:
    stubs = _rails(6, 13) | _rails(51, 58)
    return stubs | _line((32, 11), (32, 36), 11.0) | _disc(32, 52.5, 6.4)


def _filled() -> QPainterPath:
    cut = _line((18, 25), (46, 25), 6.0) | _line((18, 39), (46, 39), 6.0)
    return _disc(32, 32, 28) - cut


def mark_path(shape: Shape) -> QPainterPath:
    """The glyph of one state in the box of 64."""
    match shape:
        case Shape.RING:
            return _stroke(_disc(32, 32, 24), 8.0)
        case Shape.ARC:
            return _arc(270.0) | _disc(32, 32, 8.5)
        case Shape.FILLED:
            return _filled()
        case Shape.DOT:
            return _rails() | _disc(42, 32, 9.5)
        case Shape.BARS:
            return _upright()
        case Shape.BARS_CORNER:
            corner = QPainterPath()
            corner.addRoundedRect(QRectF(42, 42, 20, 20), 5, 5)
            gap = QPainterPath()
            gap.addRoundedRect(QRectF(36, 36, 28, 28), 8, 8)
            return (_upright() - gap) | corner
        case Shape.TRIANGLE:
            return _triangle()
        case Shape.SLASH:
            return _slash()
        case Shape.EXCLAMATION:
            return _exclamation()


def paint_mark(painter: QPainter, box: QRectF, shape: Shape, *, colour: QColor) -> None:
    """Draw a glyph into `box` (square)."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(box.topLeft())
    painter.scale(box.width() / BOX, box.height() / BOX)
    painter.fillPath(mark_path(shape), colour)
    painter.restore()


def mark_pixmap(shape: Shape, size_px: int, *, ink: QColor, ground: QColor) -> QPixmap:
    """A glyph on its own tile, so that it can be read on a light and on a dark panel alike."""
    pixmap = QPixmap(size_px, size_px)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(QRectF(0, 0, size_px, size_px), size_px * 0.24, size_px * 0.24)
    margin = size_px * 0.14
    paint_mark(painter, QRectF(margin, margin, size_px - 2 * margin, size_px - 2 * margin), shape, colour=ink)
    painter.end()
    return pixmap


def mark_icon(shape: Shape, colour: str, tokens: Tokens) -> QIcon:
    """The icon of one state in all tray sizes. Cost: about 1 ms; build it when the state changes, not per status."""
    icon = QIcon()
    for size_px in TRAY_SIZES_PX:
        icon.addPixmap(mark_pixmap(shape, size_px, ink=tokens.colour(colour), ground=tokens.soft(colour)))
    return icon


def svg(shape: Shape, ink: str, ground: str) -> str:
    """The tile with its glyph as an SVG text."""
    path = mark_path(shape)
    parts: list[str] = []
    curve: list[str] = []
    for index in range(path.elementCount()):
        element = path.elementAt(index)
        point = f"{element.x:.2f} {element.y:.2f}"
        kind = element.type
        if kind == QPainterPath.ElementType.MoveToElement:
            parts.append(f"M{point}")
        elif kind == QPainterPath.ElementType.LineToElement:
            parts.append(f"L{point}")
        else:
            curve.append(point)
            if len(curve) == 3:
                parts.append("C" + " ".join(curve))
                curve = []
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<rect width="64" height="64" rx="15.4" fill="{ground}"/>'
        f'<path transform="translate(8.96 8.96) scale(.72)" fill="{ink}" fill-rule="evenodd" d="{"".join(parts)}"/>'
        "</svg>\n"
    )


_COLOURS = {
    Shape.RING: "accent",
    Shape.ARC: "accent",
    Shape.FILLED: "good",
    Shape.DOT: "good",
    Shape.BARS: "muted",
    Shape.BARS_CORNER: "muted",
    Shape.TRIANGLE: "warn",
    Shape.SLASH: "muted",
    Shape.EXCLAMATION: "bad",
}


def write_files(folder: Path) -> None:
    """Write the app's own icon (SVG and PNG 16 to 256) and one SVG a state."""
    tokens = load_tokens(Scheme.LIGHT)
    folder.mkdir(parents=True, exist_ok=True)
    for shape, token in _COLOURS.items():
        text = svg(shape, getattr(tokens, token), tokens.soft(token).name())
        (folder / f"state-{shape.value}.svg").write_text(text, "utf-8")
    (folder / "railgun.svg").write_text(svg(Shape.DOT, tokens.on_accent, tokens.accent), "utf-8")
    for size_px in (16, 24, 32, 48, 64, 128, 256):
        ink, ground = tokens.colour("on_accent"), tokens.colour("accent")
        mark_pixmap(Shape.DOT, size_px, ink=ink, ground=ground).save(str(folder / f"railgun-{size_px}.png"))


if __name__ == "__main__":
    application = QGuiApplication(sys.argv[:1])
    write_files(Path(sys.argv[1]))
