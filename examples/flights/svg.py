"""A small writer of SVG documents: rectangles, lines and text with a few styles.

Built on `xml.etree`, so whatever a label holds is escaped.
"""

from __future__ import annotations

from typing import Literal
from xml.etree import ElementTree

__all__ = ["Svg"]

NAMESPACE = "http://www.w3.org/2000/svg"
Anchor = Literal["start", "middle", "end"]


class Svg:
    """One drawing. Coordinates are pixels from the upper left corner."""

    def __init__(self, width: int, height: int, title: str, description: str, style: str) -> None:
        self.root = ElementTree.Element(
            "svg",
            {
                "xmlns": NAMESPACE,
                "viewBox": f"0 0 {width} {height}",
                "width": str(width),
                "height": str(height),
                "role": "img",
                "aria-labelledby": "title description",
            },
        )
        ElementTree.SubElement(self.root, "title", {"id": "title"}).text = title
        ElementTree.SubElement(self.root, "desc", {"id": "description"}).text = description
        ElementTree.SubElement(self.root, "style").text = style
        self.rect(0, 0, width, height, "paper")

    def rect(
        self, x: float, y: float, width: float, height: float, style: str, tip: str | None = None
    ) -> None:
        """A filled rectangle; `tip` is shown by viewers that know the mouse."""
        shape = self._add("rect", style, x=x, y=y, width=width, height=height)
        if tip is not None:
            ElementTree.SubElement(shape, "title").text = tip

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        self._add("line", style, x1=x1, y1=y1, x2=x2, y2=y2)

    def text(self, x: float, y: float, text: str, style: str, anchor: Anchor = "start") -> None:
        """A line of text whose baseline is at `y`."""
        shape = self._add("text", style, x=x, y=y)
        shape.set("text-anchor", anchor)
        shape.text = text

    def tostring(self) -> str:
        """The document, indented, with a final newline."""
        ElementTree.indent(self.root)
        return ElementTree.tostring(self.root, encoding="unicode") + "\n"

    def _add(self, tag: str, style: str, **places: float) -> ElementTree.Element:
        attributes = {name: f"{value:.1f}".removesuffix(".0") for name, value in places.items()}
        return ElementTree.SubElement(self.root, tag, {"class": style, **attributes})
