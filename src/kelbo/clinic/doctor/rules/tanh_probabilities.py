"""KLB214."""

from collections.abc import Iterator

from kelbo.clinic.doctor.cross_entropy import cross_entropies
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity


class TanhProbabilities(Rule):
    """A tanh's output goes into a binary cross-entropy.

    ## What it does
    Reports binary cross-entropies whose output comes from a layer that ends in tanh.

    ## Why is this bad
    tanh gives numbers between -1 and 1. Taken for probabilities, the negative ones are clipped to 0
    and have no gradient; taken for logits, they reach no probability below 0.27 or above 0.73.

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
    title = "A tanh's output goes into the binary cross-entropy"
    severity = Severity.ERROR
    why = (
        "Every Keras trains it silently, but -1 to 1 is no range of probabilities: what is below "
        "0 is clipped and has no gradient."
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such cross-entropy."""
        for entropy in cross_entropies(program):
            if entropy.from_logits is not None and entropy.activation == "tanh":
                yield self.finding(
                    entropy.node,
                    f"The cross-entropy gets {entropy.name}, the output of a tanh.",
                    "For data in [0, 1] end in a sigmoid. For data in [-1, 1] keep the tanh and "
                    "take the squared error.",
                )
