"""Which study belongs to which page of results: the one table of topics."""

from collections.abc import Sequence
from dataclasses import dataclass

from fewbit.errors import DataError
from studies.evidence.study import Study


@dataclass(frozen=True)
class Topic:
    """One page of results.

    Args:
        page: name of the page, without its ending.
        title: the topic, for people.
        subject: what its studies measure, in one sentence.
        studies: names of its studies, in the order of the page.
    """

    page: str
    title: str
    subject: str
    studies: tuple[str, ...]


TOPICS = (
    Topic(
        "retraining",
        "Retraining and distillation",
        "What brings a network of few bits near the accuracy of its float network: steps, teachers, averaging, noise.",
        (
            "adaptive-step-size",
            "ternary-weights",
            "logit-distillation",
            "weight-averaging",
            "stochastic-precision",
            "symmetric-weight-noise",
            "macro-block-dropout",
            "resnet20",
            "cifar100",
            "imagenet",
            "training-overhead",
        ),
    ),
    Topic(
        "bits-and-sizes",
        "Bits and sizes",
        "How many bits a network needs, where it needs them, and what a larger network of fewer bits gives.",
        ("resiliency", "weight-sensitivity", "compression-ratio", "error-sources", "sparse-ternary"),
    ),
    Topic(
        "pruning",
        "Pruning",
        "Maps, kernels and units taken out of networks: which ones, how they are found, what is lost.",
        ("coarse-pruning", "mask-search", "head-gates", "pruned-recogniser"),
    ),
    Topic(
        "language-models",
        "Language models",
        "Character models with two clocks, networks that learn from generated text, ternary decoders.",
        ("hierarchical-character-lm", "generative-transfer", "token-scaled-distillation", "teacher-intervention"),
    ),
    Topic(
        "speech-recognition",
        "Speech recognition",
        "The recognisers in the package: errors, delays, an hour of sound, the beam search, and training on streams.",
        ("english", "english-shipped", "english-delays", "english-hour", "beam-search", "online-ctc", "digits"),
    ),
    Topic(
        "keyword-spotting",
        "Keyword spotting",
        "Words of a list in endless sound: words missed, false alarms and delays.",
        ("keywords", "commands", "command-delays"),
    ),
    Topic(
        "whole-networks",
        "Whole networks",
        "Networks of other projects as integer programs: their errors, their speed beside other libraries.",
        ("graph-networks", "graph-peers"),
    ),
    Topic(
        "kernels",
        "Kernels and speed",
        "Time and memory of the native kernels, in inference, in training and in a server, beside other libraries.",
        (
            "kernels",
            "product-floors",
            "sparse-ternary-products",
            "kernel-sparse-convolutions",
            "strided-convolutions",
            "pruned-networks",
            "multi-step",
            "training-kernels",
            "graph-rnn",
            "server",
        ),
    ),
    Topic(
        "gpu",
        "GPU",
        "The same methods with more epochs, larger networks and fused recurrences on one large GPU.",
        ("gpu-resnet20", "gpu-hierarchical", "gpu-an4", "gpu-scans", "gpu-graph-rnn"),
    ),
)
"""All pages of results, in the order of the overview."""


def topic_of(study: Study) -> Topic:
    """The page on which a study stands.

    Raises:
        DataError: no topic lists the study.
    """
    for topic in TOPICS:
        if study.name in topic.studies:
            return topic
    raise DataError(
        f"study {study.stem!r} belongs to no topic; add its name {study.name!r} to a topic in "
        "studies/evidence/topics.py"
    )


def by_topic(studies: Sequence[Study]) -> dict[Topic, list[Study]]:
    """Topics that have studies, in order, and the studies of each in the order of the topic.

    Raises:
        DataError: no topic lists one of the studies.
    """
    found: dict[Topic, list[Study]] = {topic: [] for topic in TOPICS}
    for study in studies:
        found[topic_of(study)].append(study)
    for topic, members in found.items():
        members.sort(key=lambda study: (topic.studies.index(study.name), study.number))
    return {topic: members for topic, members in found.items() if members}
