"""KLB502."""

from collections.abc import Iterator

from kelbo.clinic.doctor.origins import Origins, origins_of
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Attribute, Instance, Items, Known, Tensor, Value, options
from kelbo.clinic.doctor.words import dotted


class DecoderFedAll(Rule):
    """A model with one input is given all the outputs of another.

    ## What it does
    Reports calls and `predict` of a model with one input that is given everything that a model with
    several outputs returned: `decoder(encoder(x))`.

    ## Why is this bad
    The encoder returns mu, log_var and z, and the decoder takes z: three inputs where one is
    expected.

    ## Example
    ```python
    x_decoded = decoder.predict(encoder.predict(x_test))
    ```

    ## Use instead
    ```python
    mu, log_var, z = encoder.predict(x_test)
    x_decoded = decoder.predict(mu)
    ```
    """

    code = "KLB502"
    title = "The decoder gets all outputs of the encoder"
    severity = Severity.ERROR
    explanation = "decoder-fed-three-tensors"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call."""
        for call in program.calls:
            given = call.arguments.get(0, "x", "inputs")
            if not isinstance(given, Items):
                continue
            count = _outputs(given, origins_of(program))
            models = [_model(option) for option in options(call.function)]
            if count > 1 and models and all(model and _has_one_input(model) for model in models):
                name = dotted(call.node.func)
                decoder = name.removesuffix(".predict") or "The model"
                yield self.finding(
                    call.node,
                    f"{name or decoder} is given {count} tensors, but {decoder} has one input.",
                    "Take one of them: z for a draw, mu for the reconstruction without noise.",
                )


def _model(function: Value) -> Instance | None:
    """The model that is called, directly or by predict."""
    if isinstance(function, Attribute) and function.name == "predict":
        function = function.owner
    return function if isinstance(function, Instance) else None


def _has_one_input(model: Instance) -> bool:
    inputs = model.inputs
    if isinstance(inputs, Items):
        return len(inputs.items) == 1
    sequential = isinstance(model.of, Known) and model.of.name.endswith(".Sequential")
    return isinstance(inputs, Tensor) or sequential


def _outputs(given: Items, origins: Origins) -> int:
    """The number of tensors that are given, if they are all that one call returned; else 0."""
    made = [origins.call(item) for item in given.items]
    places = [found[1] for found in made if found is not None]
    calls = {found[0] for found in made if found is not None}
    whole = places == [(number,) for number in range(len(given.items))]
    if whole and len(calls) == 1 and calls.pop().result == given:
        return len(given.items)
    return 0
