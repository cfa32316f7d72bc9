"""How a seeded defect takes a safeguard away: the function that is it, replaced wherever the pipeline knows it."""

import sys
from collections.abc import Callable


def replace(old: Callable, new: Callable) -> None:
    """Puts a function in the place of another, in every module of the pipeline that has it by name.

    Args:
        old: The safeguard, as the pipeline's modules have imported it.
        new: What takes its place.

    Raises:
        LookupError: No module has it: the defect would be none.
    """
    found = [
        (module, name)
        for key, module in list(sys.modules.items())
        if key.partition(".")[0] == "pipeline"
        for name, value in list(vars(module).items())
        if value is old
    ]
    if not found:
        raise LookupError(f"no module of the pipeline has {old}")
    for module, name in found:
        setattr(module, name, new)
