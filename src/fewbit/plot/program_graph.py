"""Pictures of packed networks: ops as boxes with their bytes, values as lines as wide as they have numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path as Line

from fewbit.errors import ArgumentError
from fewbit.plot.palette import BLUE, COLOURS, ORANGE
from fewbit.plot.program_columns import Columns, columns
from fewbit.plot.program_nodes import Network, Node, network
from fewbit.plot.program_places import Layout, Point, arrange
from fewbit.program import Program
from fewbit.program.naming import cut

WIDTH, HEIGHT, PITCH = 2.3, 0.46, 0.84
MARGIN, HEAD, PANEL = 0.35, 0.75, 2.5
GREY = "#555555"
FAMILIES = {
    "source": ("black", "quantize lookup"),
    "product with weights": (BLUE, "dense conv"),
    "recurrent": (ORANGE, "sru qrnn lstm gru hierarchy"),
    "attention": (COLOURS[4], "attend softmax log_softmax"),
    "norm": (COLOURS[3], "norm"),
    "number by number": (COLOURS[5], "sum mul map prelu magnitude requantize"),
    "moves or gathers": (COLOURS[6], "take pool reverse mean first positions phases"),
}
BITS = ((4, "#B9B2DA", "up to 4 bits"), (8, "#7E6FC0", "5 to 8 bits"), (16, "#4A1486", "9 to 16 bits"))
WIDE = ("black", "more than 16 bits")
ENDINGS = (".svg", ".png", ".pdf")


def plot_program(program: Program, path: str | Path, title: str = "", expand_blocks: bool = False) -> Path:
    """The ops of a packed network from top to bottom, in several columns if it is deep.

    Args:
        program: the network.
        path: file to write: ``.svg``, ``.png`` or ``.pdf``.
        title: title of the picture.
        expand_blocks: draw repeated blocks in full; else networks of many ops show one of them in a box.

    Raises:
        ArgumentError: the name has another ending.

    Examples:
        >>> from tempfile import mkdtemp
        >>> import fewbit as fb
        >>> program = fb.load(fb.pretrained("digits"))
        >>> plot_program(program, f"{mkdtemp()}/digits.svg", "digits").name
        'digits.svg'
    """
    if Path(path).suffix.lower() not in ENDINGS:
        raise ArgumentError(
            f"{path}: a picture is written as {', '.join(ENDINGS)}, not as {Path(path).suffix or 'nothing'!r}"
        )
    net = network(program, expand_blocks)
    layout = arrange([node.reads for node in net.nodes], WIDTH)
    place = columns(layout, net, WIDTH, PITCH)
    size = (place.width + PANEL + 2 * MARGIN, max(place.height + HEAD + MARGIN, 5.6))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fewbit"}):
        figure = Figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-MARGIN, size[0] - MARGIN)
        axes.set_ylim(HEAD - size[1], HEAD)
        axes.axis("off")
        axes.text(
            -MARGIN + 0.2,
            HEAD - 0.25,
            cut(title or "network", int(size[0] / 0.135)),
            fontsize=13,
            va="center",
            weight="bold",
        )
        axes.text(-MARGIN + 0.2, HEAD - 0.5, net.summary, fontsize=9, va="center", color=GREY)
        picture = _Picture(axes, net, layout, place)
        picture.draw()
        picture.legend(place.width + 0.35)
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        figure.savefig(path, dpi=130, metadata=metadata)
    return Path(path)


@dataclass
class _Picture:
    axes: Axes
    net: Network
    layout: Layout
    place: Columns
    drawn: list[tuple[float, float]] = field(default_factory=list)
    """Points on lines that are not straight down."""

    def draw(self) -> None:
        for box in self.place.boxes:
            self._box(box)
        for link in self.layout.links:
            self._link(*link)
        for row in self.layout.rows:
            for point in row:
                if self.layout.is_node(point):
                    self._node(point)
                else:
                    x, y = self.place.at[point]
                    self._line(
                        [(x, y + HEIGHT / 2 + 0.01), (x, y - HEIGHT / 2 - 0.01)], [Line.MOVETO, Line.LINETO], point[0]
                    )

    def _box(self, box: tuple[float, float, float, float, str]) -> None:
        left, bottom, width, height, text = box
        style = "round,pad=0,rounding_size=0.12"
        self.axes.add_patch(
            FancyBboxPatch((left, bottom), width, height, style, fc="#F6F6F2", ec="#999999", lw=1, ls="--", zorder=0)
        )
        self.axes.text(left + 0.08, bottom + height - 0.1, text, fontsize=8, color=GREY, va="center", zorder=1)

    def _node(self, point: Point) -> None:
        node, (x, y) = self.net.nodes[point[0]], self.place.at[point]
        if node.kind == "":
            style = f"round,pad=0,rounding_size={HEIGHT / 2}"
            corner = (x - WIDTH / 2, y - HEIGHT / 2)
            self.axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, fc="#EEEEEE", ec=GREY, lw=1, zorder=3))
        else:
            self._body(node, x, y)
        self.axes.text(x, y + 0.09, node.name, ha="center", va="center", fontsize=8, zorder=5)
        self.axes.text(x, y - 0.075, node.about, ha="center", va="center", fontsize=7, color=GREY, zorder=5)
        if node.gives:
            self._label(point, node.gives)

    def _label(self, point: Point, text: str) -> None:
        """What a value is, beside the line that leaves the node, where the fewest lines run."""
        x, y = self.place.at[point]
        long, high = 0.056 * len(text), 0.05
        spots: list[tuple[int, int, tuple[float, float]]] = []
        for below in (0.1, PITCH - HEIGHT - 0.09):
            for away in (-1, 1):
                middle = (x + away * (0.1 + long / 2), y - HEIGHT / 2 - below)
                hits = sum(abs(a - middle[0]) < long / 2 and abs(b - middle[1]) < high for a, b in self.drawn)
                spots.append((hits, len(spots), (x + 0.1 * away, middle[1])))
        _, _, (start, bottom) = min(spots)
        box = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85}
        side = "right" if start < x else "left"
        self.axes.text(start, bottom, text, ha=side, va="center", fontsize=6.5, color=GREY, zorder=5, bbox=box)

    def _body(self, node: Node, x: float, y: float) -> None:
        colour = next((colour for colour, kinds in FAMILIES.values() if node.kind in kinds.split()), GREY)
        left, bottom = x - WIDTH / 2, y - HEIGHT / 2
        self.axes.add_patch(Rectangle((left, bottom), WIDTH, HEIGHT, fc="white", ec=colour, lw=1.1, zorder=3))
        self.axes.add_patch(Rectangle((left, bottom), 0.09, HEIGHT, fc=colour, ec="none", zorder=4))
        full = WIDTH - 0.09
        share = node.bytes / max(self.net.most_bytes, 1)
        self.axes.add_patch(
            Rectangle((left + 0.09, bottom), full * share, 0.075, fc=colour, ec="none", alpha=0.75, zorder=3.5)
        )

    def _link(self, start: Point, stop: Point) -> None:
        (x0, y0), (x1, y1) = self.place.at[start], self.place.at[stop]
        y0, y1 = y0 - HEIGHT / 2, y1 + HEIGHT / 2
        if self.layout.is_node(stop):
            x1 += self._port(start, stop)
            value = self.net.nodes[start[0]]
            half = 0.03 + _line_width(value.size) / 100
            tip = [(x1 - half, y1 + 2 * half), (x1 + half, y1 + 2 * half), (x1, y1)]
            self.axes.add_patch(Polygon(tip, fc=_colour(value.bits), ec="none", zorder=4))
            y1 += 1.5 * half
        if (start, stop) in self.place.detours:
            corners = [(x0, y0), *self.place.detours[start, stop], (x1, y1)]
            corners[-2] = (x1, corners[-2][1])
            self._line(corners, [Line.MOVETO] + [Line.LINETO] * (len(corners) - 1), start[0])
        elif abs(x0 - x1) < 0.01:
            self._line([(x0, y0), (x1, y1)], [Line.MOVETO, Line.LINETO], start[0])
        else:
            middle = y1 + (y0 - y1) * self._height(start)
            curve = [(x0, y0), (x0, middle), (x1, middle), (x1, y1)]
            self.drawn += _along(curve)
            self._line(curve, [Line.MOVETO] + [Line.CURVE4] * 3, start[0])

    def _height(self, start: Point) -> float:
        """Where between two layers the lines of a value run sideways: beside many others at a height of their own."""
        row = self.layout.rows[start[1]]
        return 0.5 if len(row) < 4 else 0.66 - 0.32 * row.index(start) / (len(row) - 1)

    def _port(self, start: Point, stop: Point) -> float:
        """Where along the upper side of a node a line ends: that from right above in the middle."""
        places = sorted((self.place.order(point), point) for point, other in self.layout.links if other == stop)
        points = [point for _, point in places]
        straight = [i for i, point in enumerate(points) if (point, stop) in self.layout.straight]
        middle = straight[0] if straight else (len(points) - 1) / 2
        step = min(0.5, 0.8 * WIDTH / max(len(points), 1))
        return float(step * (points.index(start) - middle))

    def _line(self, points: list[tuple[float, float]], codes: Sequence[Any], node: int) -> None:
        value = self.net.nodes[node]
        self.axes.add_patch(
            PathPatch(
                Line(points, codes),
                fc="none",
                ec=_colour(value.bits),
                lw=_line_width(value.size),
                ls=(0, (3, 1.5)) if value.bits == 0 else "-",
                capstyle="butt",
                joinstyle="round",
                zorder=2,
            )
        )

    def legend(self, left: float) -> None:
        """What colours, widths and bars mean."""
        kinds = {node.kind for node in self.net.nodes}
        there = [(name, colour) for name, (colour, some) in FAMILIES.items() if kinds & set(some.split())]
        blocks: list[tuple[str, Sequence[Artist]]] = [
            ("ops", [Rectangle((0, 0), 1, 1, fc=colour, ec="none", label=name) for name, colour in there]),
            ("bits of a number", self._bits()),
            ("numbers a frame", [_sample("#4A1486", size, f"{size:,}") for size in self._sizes()]),
        ]
        y = HEAD - 0.75
        for title, handles in blocks:
            made = Legend(
                self.axes,
                handles,
                [f"{handle.get_label()}" for handle in handles],
                title=title,
                loc="upper left",
                bbox_to_anchor=(left + 0.15, y),
                bbox_transform=self.axes.transData,
                frameon=False,
                fontsize=8,
                title_fontsize=8.5,
                alignment="left",
                handlelength=1.8,
                borderaxespad=0,
            )
            self.axes.add_artist(made)
            y -= 0.34 + 0.178 * len(handles)
        self.axes.text(left + 0.2, y, f"bar: bytes, full at {self.net.most_bytes:,}", fontsize=8.5, va="top")

    def _bits(self) -> list[Line2D]:
        found = {_colour(node.bits) for node in self.net.nodes if node.bits}
        rows = [(colour, label) for _, colour, label in BITS] + [WIDE]
        lines = [_sample(colour, 64, label) for colour, label in rows if colour in found]
        if any(node.bits == 0 and node.size for node in self.net.nodes):
            lines.append(Line2D([], [], color=GREY, lw=_line_width(64), ls=(0, (3, 1.5)), label="not yet quantized"))
        return lines

    def _sizes(self) -> list[int]:
        sizes = sorted({node.size for node in self.net.nodes if node.bits})
        return sorted({sizes[0], sizes[len(sizes) // 2], sizes[-1]})


def _along(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of a Bezier curve."""
    found = []
    for step in range(61):
        t = step / 60
        shares = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        found.append(
            (
                sum(w * x for w, (x, _) in zip(shares, curve, strict=True)),
                sum(w * y for w, (_, y) in zip(shares, curve, strict=True)),
            )
        )
    return found


def _sample(colour: str, size: int, label: str) -> Line2D:
    return Line2D([], [], color=colour, lw=_line_width(size), label=label, solid_capstyle="butt")


def _line_width(size: int) -> float:
    return 0.8 + 0.32 * log2(max(size, 1))


def _colour(bits: int) -> str:
    if bits == 0:
        return GREY
    return next((colour for most, colour, _ in BITS if bits <= most), WIDE[0])
