from typing_extensions import disjoint_base

from theus._core.freeze import Held

@disjoint_base
class Guard(Held): ...
