"""torch values in the DATA part of the state.

Dtypes, devices and layouts never change and are shared. A dense tensor on the CPU is held as a
`FrozenTensor`, whose memory nothing that is handed out can write to. A process that may write to
its place gets it behind a `GuardedTensor`, without copying. Refused by name is what is more than
its numbers (a graph, a class of its own), or has no memory that the state could copy: other
devices, sparse, quantized and nested tensors.
"""

from __future__ import annotations

from theus._core.freeze import register_copy, register_leaf
from theus._core.held import register_held
from theus._core.shown import register_shown
from theus.freezers._freezer import Freezer

__all__ = ["FREEZER"]


def _resolve(cls: type) -> None:
    """Values of other classes of torch (modules, generators, subclasses of tensors) are refused."""
    import torch

    from theus.freezers._tensor_guard import GuardedTensor, guard_at, place_of
    from theus.freezers._tensors import FrozenTensor, OwnTensor, frozen, make_ready

    if cls in (torch.dtype, torch.device, torch.layout, torch.memory_format, torch.qscheme):
        register_leaf(cls)
    elif cls in (torch.Tensor, torch.nn.Parameter, FrozenTensor, OwnTensor):
        make_ready()
        register_copy(cls, frozen)
        register_held(GuardedTensor, place_of)
        register_shown(guard_at, FrozenTensor, OwnTensor)


FREEZER = Freezer(_resolve)
