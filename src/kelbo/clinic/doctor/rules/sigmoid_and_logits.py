"""KLB211."""

from collections.abc import Iterator

from kelbo.clinic.doctor.cross_entropy import cross_entropies
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity


class SigmoidAndLogits(Rule):
    """A sigmoid's output goes into a cross-entropy that takes logits.

    ## What it does
    Reports binary cross-entropies with `from_logits=True`, and
    `tf.nn.sigmoid_cross_entropy_with_logits`, whose output comes from a sigmoid.

    ## Why is this bad
    The sigmoid is applied twice. The second one gets values between 0 and 1, so its probabilities
    lie between 0.5 and 0.73 whatever the decoder says. Keras on TensorFlow notices a sigmoid that
    comes last and leaves the second one out; nothing else does.

    ## Example
    ```python
    x_decoded = keras.layers.Dense(784, activation="sigmoid")(h)
    reconstruction = keras.losses.binary_crossentropy(x, x_decoded, from_logits=True)
    ```

    ## Use instead
    ```python
    logits = keras.layers.Dense(784)(h)
    reconstruction = keras.losses.binary_crossentropy(x, logits, from_logits=True)
    ```
    """

    code = "KLB211"
    title = "A sigmoid's output is taken for logits"
    severity = Severity.WARNING
    generations = (
        ("Keras on TensorFlow", "leaves the second sigmoid out if the first comes last, and warns"),
        ("Keras 3 on JAX and PyTorch, and TensorFlow's own function", "apply it twice, silently"),
    )
    why = "A sigmoid of a sigmoid lies between 0.5 and 0.73: black and white cannot be reached."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such cross-entropy."""
        for entropy in cross_entropies(program):
            if entropy.from_logits and entropy.activation == "sigmoid":
                yield self.finding(
                    entropy.node,
                    f"The cross-entropy takes {entropy.name} for logits, but it is the output of "
                    "a sigmoid.",
                    "Leave the sigmoid out, and apply it where you look at images; or take the "
                    "cross-entropy of probabilities, without from_logits=True.",
                )
