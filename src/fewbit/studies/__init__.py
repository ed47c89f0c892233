"""Floor 7: the studies, each a claim of a paper measured in small on real data."""

import fewbit.torch_side  # noqa: F401
