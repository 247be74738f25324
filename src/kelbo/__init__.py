"""kelbo: variational autoencoders on Keras 3, where the ELBO's equation is the architecture.

    log p(x) >= E_q [ log p(x|z) + log p(z) - log q(z|x) ]

Importing this package imports no backend; the first use of a name below does. When KERAS_BACKEND
is unset and Keras is not imported yet, kelbo then picks an installed backend (`kelbo.backend`).
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that defines it.
_PUBLIC: dict[str, str] = {}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kelbo' has no attribute {name!r}")
    from kelbo.backend import choose

    choose()
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
