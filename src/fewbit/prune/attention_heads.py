"""How many heads modules say that they have: numbers in their attributes, which no tensor shows."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from fewbit.errors import PruningError
from fewbit.nn import MultiheadAttention

COUNTS = (
    *("heads", "num_heads", "n_heads", "n_head", "nhead", "num_attention_heads", "attention_heads"),
    *("key_heads", "kv_heads", "num_kv_heads", "n_kv_heads", "n_kv_head", "num_key_value_heads", "groups"),
)
"""Names of attributes that count heads; `groups` does beside one of the others."""
Counts = dict[str, int]


def head_counts(model: nn.Module) -> Counts:
    """The attributes that count heads, by their paths.

    Examples:
        >>> head_counts(nn.Sequential(nn.MultiheadAttention(8, 2)))
        {'0.num_heads': 2}
    """
    found: Counts = {}
    for path, module in model.named_modules():
        found |= {f"{path}.{name}".lstrip("."): vars(module)[name] for name in _names(module)}
    return found


def set_head_counts(model: nn.Module, counts: Mapping[str, int]) -> None:
    """Give attributes the numbers that `head_counts` told; those that are not there are left out.

    Examples:
        >>> net = nn.Module()
        >>> net.heads = 4
        >>> set_head_counts(net, {"heads": 3})
        >>> net.heads
        3
    """
    known = head_counts(model)
    for path, count in counts.items():
        owner, _, name = path.rpartition(".")
        if path in known and type(count) is int and count >= 0:
            setattr(model.get_submodule(owner), name, count)


def scale_head_counts(module: nn.Module, before: int, left: int) -> None:
    """Reduce what a module says of its heads in the proportion `left` of `before`, as far as it comes out even.

    Examples:
        >>> net = nn.Module()
        >>> net.heads, net.key_heads = 4, 2
        >>> scale_head_counts(net, before=2, left=1)  # a key with its two queries
        >>> net.heads, net.key_heads
        (2, 1)
    """
    if isinstance(module, nn.MultiheadAttention):
        return  # its sizes come from its tensors
    for name in _names(module):
        count = vars(module)[name]
        if count * left % before == 0:
            setattr(module, name, count * left // before)


def fit_attention(module: nn.MultiheadAttention) -> None:
    """Make a layer of torch that has lost heads one of `fewbit.nn.MultiheadAttention`, in place.

    Raises:
        PruningError: the layer appends learned or zero keys.

    Examples:
        >>> layer = nn.MultiheadAttention(8, 2)
        >>> layer.in_proj_weight = nn.Parameter(layer.in_proj_weight[[*range(4), *range(8, 12), *range(16, 20)]])
        >>> layer.in_proj_bias = nn.Parameter(layer.in_proj_bias[:12])
        >>> layer.out_proj.weight = nn.Parameter(layer.out_proj.weight[:, :4])
        >>> fit_attention(layer)
        >>> type(layer).__module__, layer.num_heads
        ('fewbit.nn.multihead_attention', 1)
    """
    inner = module.out_proj.weight.shape[1]
    if inner == module.num_heads * module.head_dim:
        return
    if module.bias_k is not None or module.add_zero_attn:
        raise PruningError("heads of an attention that appends keys (add_bias_kv, add_zero_attn) cannot be pruned")
    module.num_heads = inner // module.head_dim
    if isinstance(module, MultiheadAttention):
        return
    kind: type[Any] = type(module)
    if kind is nn.MultiheadAttention:
        module.__class__ = MultiheadAttention
    elif kind.__bases__ == (nn.MultiheadAttention,):  # what parametrizations make of it
        module.__class__ = type(kind.__name__, (MultiheadAttention,), dict(vars(kind)))
    else:
        raise PruningError(f"{kind.__name__} is a class of its own beside nn.MultiheadAttention; its heads are kept")
    module._qkv_same_embed_dim = False


def _names(module: nn.Module) -> list[str]:
    names = [name for name in COUNTS if type(vars(module).get(name)) is int]
    return [] if names == ["groups"] else names  # groups of a convolution
