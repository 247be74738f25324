"""KLB212."""

from collections.abc import Iterator

from kelbo.clinic.doctor.cross_entropy import cross_entropies
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity


class LogitsAsProbabilities(Rule):
    """A linear output goes into a cross-entropy that takes probabilities.

    ## What it does
    Reports binary cross-entropies without `from_logits=True` whose output comes from a dense or
    convolutional layer that has no activation.

    ## Why is this bad
    The cross-entropy takes the logarithm of the output and of 1 minus it. Keras clips the output to
    [0, 1] first: whatever is below 0 or above 1 has no gradient, and stays where it is.

    ## Example
    ```python
    x_decoded = keras.layers.Dense(784)(h)
    reconstruction = keras.losses.binary_crossentropy(x, x_decoded)
    ```

    ## Use instead
    ```python
    logits = keras.layers.Dense(784)(h)
    reconstruction = keras.losses.binary_crossentropy(x, logits, from_logits=True)
    ```
    """

    code = "KLB212"
    title = "Logits are taken for probabilities"
    severity = Severity.ERROR
    why = (
        "Every Keras clips the output to [0, 1] and trains it silently: an output outside of that "
        "range has no gradient."
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such cross-entropy."""
        for entropy in cross_entropies(program):
            if entropy.from_logits is False and entropy.activation == "linear":
                yield self.finding(
                    entropy.node,
                    f"The cross-entropy takes {entropy.name} for probabilities, but it comes from "
                    "a layer without an activation.",
                    f"Set from_logits=True, and apply a sigmoid to {entropy.name} where you look "
                    'at images; or give the layer activation="sigmoid".',
                )
