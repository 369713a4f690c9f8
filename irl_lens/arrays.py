"""The type of numpy arrays in annotations: ``NDArray[np.int64]``, by its dtype.

From numpy 2.5 on, on Python 3.12, that of ``numpy.typing`` is a ``type`` statement, whose
subscript is no class: jaxtyping's ``Int[NDArray[np.int64], "n"]`` is a TypeError there. This
one is what numpy's own was before.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np

Scalar = TypeVar("Scalar", bound=np.generic)
NDArray: TypeAlias = np.ndarray[tuple[Any, ...], np.dtype[Scalar]]
