"""Limits of the parts of a Program. ``csrc/limits.h`` states those that native code checks; a test compares them."""

MAX_FRAME_SIZE = 1 << 24
"""Numbers of a frame; also sides of matrices, of windows and of grids. An index of them fits 32 bits."""
MAX_RATE = 1 << 24
"""Input frames for one frame of a value, and input frames by which a value may be late."""
MAX_INPUTS = 1 << 12
"""Values that an op reads."""
MAX_KEYS = 1 << 20
"""Frames that attention keeps."""
MAX_WINDOW = 1 << 15
"""Numbers that one result of a pooling comes from: a sum of as many 16-bit numbers fits 31 bits."""
MAX_NORM = 1 << 16
"""Numbers that are normalized together: the sum of their squares fits 63 bits."""
MAX_SQUARES = 16
"""Inputs of a magnitude: 2**16 times the sum of their squares fits 62 bits."""
MAX_TOTAL = 1 << 26
"""Numbers of a state, or of all values of a frame: a small file must not make its reader allocate any amount."""
MAX_PARTS = 64
"""Ops of a part of an op."""
MAX_AXES = 8
"""Axes of an array of a signature."""
MAX_DEPTH = 64
"""Nesting of the description in a file: its reader recurses."""

MAX_SUM = 1 << 30
"""Sums of products stay below it and biases do not pass it, so that both together fit 32 bits."""
MAX_BIAS = MAX_SUM
"""Magnitude of a bias; see `MAX_SUM`."""
MAX_BIAS_BITS = 16
"""Binary places of a bias."""
MAX_SCORE_PRODUCTS = 1 << 45
"""Scores of attention stay below it: their product with a multiplier of 17 bits fits 62 bits."""
MAX_MULTIPLIER = (1 << 31) - 1
"""Magnitude of the multiplier of a rescaling: its product with 32 bits fits 63 bits."""
MAX_SHIFT = 62
"""Shift of a rescaling: half of its unit fits 63 bits."""
MAX_EXPONENT_MULTIPLIER = 1 << 16
"""Multiplier of the distances of a softmax."""
MAX_GROUP_SCALE = 1 << 14
"""Scale of a group of columns: 1.0."""
