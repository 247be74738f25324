"""KLB214."""

from collections.abc import Iterator

from kelbo.clinic.doctor.cross_entropy import CrossEntropy, cross_entropies
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Tensor, options

# What becomes of an output that is taken for probabilities, and of one that is taken for logits.
_PROBABILITIES = {
    "relu": "what is above 1 is clipped, what is 0 is cut off by the relu, and neither has a "
    "gradient",
    "softmax": "its numbers add up to 1, so that hardly a pixel can be white",
    "softplus": "what is above 1 is clipped and has no gradient",
    "tanh": "what is below 0 is clipped and has no gradient",
}
_LOGITS = {
    "relu": "no probability is below 0.5",
    "relu6": "no probability is below 0.5",
    "softmax": "these lie between 0 and 1, and add up to 1",
    "softplus": "no probability is below 0.5",
    "tanh": "every probability lies between 0.27 and 0.73",
}
# The pixels of an image of MNIST and of CIFAR.
_PIXELS = (784, 3072)


class OutputRange(Rule):
    """The output of a tanh, a relu or a softmax goes into a binary cross-entropy.

    ## What it does
    Reports binary cross-entropies whose output comes from a layer that ends in tanh, relu, softplus
    or softmax. A softmax taken for probabilities may be meant for data that add up to 1, such as
    one-hot vectors: it is reported over the pixels of an image, 784 or 3072, and over a single
    number, which it makes 1.

    ## Why is this bad
    A binary cross-entropy takes probabilities, between 0 and 1, or with `from_logits=True` logits,
    which may be any number. tanh gives numbers between -1 and 1, relu and softplus positive ones,
    softmax numbers that add up to 1. What is outside [0, 1] is clipped and has no gradient. Taken
    for logits, they reach only some probabilities: those of a relu are 0.5 or more, of a softmax
    0.5 to 0.73, of a tanh 0.27 to 0.73. Keras on TensorFlow leaves a softmax that comes last out of
    the loss, and takes what goes into it for logits; predict still applies the softmax, so that the
    model gives other numbers than it was trained on.

    ## Example
    ```python
    x_decoded = keras.layers.Dense(784, activation="tanh")(h)
    reconstruction = keras.losses.binary_crossentropy(x, x_decoded)
    ```

    ## Use instead
    ```python
    x_decoded = keras.layers.Dense(784, activation="sigmoid")(h)
    reconstruction = keras.losses.binary_crossentropy(x, x_decoded)
    ```
    """

    code = "KLB214"
    title = "A tanh, a relu or a softmax goes into the binary cross-entropy"
    severity = Severity.ERROR
    generations = (
        ("Keras on TensorFlow", "leaves a last softmax out of the loss; trains on all others"),
        ("Keras 3 on JAX and PyTorch", "trains on what it is given, silently"),
    )
    why = (
        "These outputs are neither any probability nor any logit: some pixels cannot be reached, "
        "or have no gradient."
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such cross-entropy."""
        for entropy in cross_entropies(program):
            activation = entropy.activation or ""
            happens = _consequence(entropy, activation)
            if happens is None:
                continue
            logits = (
                "Leave the activation out: logits may be any number."
                if entropy.from_logits
                else "For data in [0, 1] end in a sigmoid."
            )
            keep = " For data in [-1, 1] keep the tanh and take the squared error."
            yield self.finding(
                entropy.node,
                f"The cross-entropy gets {entropy.name}, the output of a {activation}: {happens}.",
                logits + keep * (activation == "tanh"),
            )


def _consequence(entropy: CrossEntropy, activation: str) -> str | None:
    """What is wrong with an activation; None if nothing is, or that is not known."""
    if entropy.from_logits is None:
        return None
    if entropy.from_logits:
        return _LOGITS.get(activation)
    if activation == "softmax":
        shapes = [o.shape for o in options(entropy.output) if isinstance(o, Tensor)]
        sizes = {shape[-1] if shape else None for shape in shapes}
        if sizes == {1}:
            return "a softmax of one number is always 1"
        if len(sizes) != 1 or not sizes & {*_PIXELS}:
            return None
    return _PROBABILITIES.get(activation)
