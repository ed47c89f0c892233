"""Colours for colour-blind readers (Okabe, Ito 2008), each with a shape, so that no picture depends on colour."""

BLUE, ORANGE = "#0072B2", "#D55E00"
COLOURS = ("black", ORANGE, BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
