"""KLB216."""

from collections.abc import Iterator

from kelbo.clinic.doctor.cross_entropy import CrossEntropy, cross_entropies
from kelbo.clinic.doctor.expressions import Opaque
from kelbo.clinic.doctor.origins import origins_of
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Step, Tensor, Value
from kelbo.clinic.doctor.words import dotted

_INPUTS = {"keras.Input", "keras.layers.Input"}
_OF_DATA = ("train_step", "test_step")


class SwappedArguments(Rule):
    """A binary cross-entropy gets the output first and the data second.

    ## What it does
    Reports binary cross-entropies in a loss function whose first argument is the function's second,
    and the other way round; and those whose first argument ends in a sigmoid while the second is an
    input of the model or the data of a step.

    ## Why is this bad
    The cross-entropy is not symmetric. With the arguments swapped it takes the logarithm of the
    data: Keras clips it, and the gradient no longer depends on how far the output is from the data.

    ## Example
    ```python
    def reconstruction(x, x_decoded):
        return keras.losses.binary_crossentropy(x_decoded, x)
    ```

    ## Use instead
    ```python
    def reconstruction(x, x_decoded):
        return keras.losses.binary_crossentropy(x, x_decoded)
    ```
    """

    code = "KLB216"
    title = "The arguments of the binary cross-entropy are swapped"
    severity = Severity.ERROR
    why = (
        "Every Keras trains it silently: the target comes first and the output second, and the "
        "logarithm is taken of the second."
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such cross-entropy."""
        for entropy in cross_entropies(program):
            if _is_swapped_in_loss(entropy, program) or _is_swapped(entropy, program):
                name = dotted(entropy.call.node.func, "The cross-entropy")
                yield self.finding(
                    entropy.node,
                    f"{name} gets the output of the model first and the data second.",
                    "Swap its two arguments: the data come first.",
                )


def _is_swapped_in_loss(entropy: CrossEntropy, program: Program) -> bool:
    """Whether a loss function hands its two arguments on in the other order."""
    step = entropy.call.step
    if step is None or step.kind != "loss":
        return False
    names = step.function.parameters[step.function.owner is not None :][:2]
    if len(names) < 2:
        return False
    received = program.arguments.get(step.function.node, {})
    data, output = (received.get(name, set()) for name in names)
    return _opaque(entropy.target) in output - data and _opaque(entropy.output) in data - output


def _is_swapped(entropy: CrossEntropy, program: Program) -> bool:
    """Whether the target ends in a sigmoid, and the output is what goes into the model."""
    target, output = entropy.target, _opaque(entropy.output)
    if not isinstance(target, Tensor) or target.activation != "sigmoid" or output is None:
        return False
    made = origins_of(program).call(entropy.output)
    is_input = made is not None and bool(made[0].names & _INPUTS)
    return is_input or output in _data(entropy.call.step, program)


def _data(step: Step | None, program: Program) -> set[Opaque]:
    """The tensors that Keras hands to a step as data."""
    if step is None or step.kind not in _OF_DATA:
        return set()
    received = program.arguments.get(step.function.node, {})
    return set().union(*received.values())


def _opaque(value: Value | None) -> Opaque | None:
    return value.opaque if isinstance(value, Tensor) else None
