"""Pictures of a teacher's confidence: where it is sure, where it is right, and what weight each position gets."""

from pathlib import Path

from matplotlib.figure import Figure

from fewbit.analysis import TeacherConfidence
from fewbit.plot.palette import BLUE, ORANGE


def plot_confidence(found: TeacherConfidence, path: str | Path, title: str = "", sequence: int = 0) -> Path:
    """Left: loss and largest probability of each position; right: the weights along one sequence.

    Args:
        found: what `teacher_confidence` gave.
        path: file to write.
        title: title of the picture; name the teacher and the data.
        sequence: whose weights are drawn.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import JudgedToken, TeacherConfidence
        >>> tokens = tuple(JudgedToken(0, i, 1, 0.5 * i, 0.9 - 0.2 * i, 0.8 + 0.2 * i) for i in range(3))
        >>> plot_confidence(TeacherConfidence(10.0, 1, tokens), f"{mkdtemp()}/confidence.png").name
        'confidence.png'
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter([t.largest for t in found.tokens], [t.loss for t in found.tokens], s=6, alpha=0.4, color=BLUE)
    left.set_xlabel("largest probability of the teacher")
    left.set_ylabel("cross-entropy of the label (nats)")
    left.set_title(f"correlation {found.correlation:.2f}")
    drawn = [token for token in found.tokens if token.sequence == sequence]
    right.bar([t.position for t in drawn], [t.share for t in drawn], width=1.0, color=ORANGE)
    right.axhline(1, color="black", lw=1)
    right.set_xlabel(f"position in sequence {sequence}")
    right.set_ylabel("weight / an even share")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(title or f"what the teacher is sure of, and what it weighs at tau = {found.tau:g}")
    figure.savefig(path, dpi=130)
    return Path(path)
