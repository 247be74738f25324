"""The precisions in which the networks of a model compute, by name. Imports no framework.

In mixed precision the networks compute in bfloat16 and keep their weights in float32 (Micikevicius
et al., "Mixed precision training", 2018; Kalamkar et al., "A study of BFLOAT16 for deep learning
training", 2019). Probabilities and all that is computed from them are always float32: the
parameters of every distribution, z, log-probabilities, the KL, the loss and the metrics.
"""

from kelbo.errors import UsageError, unknown_name

# Name -> Keras's dtype policy for the layers of the networks.
PRECISIONS = {"float32": "float32", "bf16": "mixed_bfloat16"}
# Other names that people type.
ALIASES = {"fp32": "float32", "bfloat16": "bf16", "mixed_bfloat16": "bf16"}
_HALF = ("float16", "fp16", "f16", "half", "mixed_float16")


def dtype_policy(precision: str) -> str:
    """The dtype policy of a precision.

    Raises:
        UsageError: there is no such precision, or it is float16.
    """
    if precision.lower() in _HALF:
        raise no_float16(f"precision {precision!r}")
    name = ALIASES.get(precision, precision)
    if name not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    return PRECISIONS[name]


def no_float16(what: str) -> UsageError:
    """The error for float16.

    Args:
        what: what would compute in it.
    """
    return UsageError(
        f"kelbo does not train in float16, received {what}: small gradients become 0 there unless "
        "the loss is scaled, which a bound in nats is not. Use bf16 (mixed_bfloat16), which has "
        "float32's range."
    )
