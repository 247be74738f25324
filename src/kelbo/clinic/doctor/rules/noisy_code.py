"""KLB312."""

from collections.abc import Iterator

from kelbo.clinic.doctor.origins import Origins, origins_of
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Attribute, Instance, Value, options
from kelbo.clinic.doctor.words import dotted


class NoisyCode(Rule):
    """What is predicted for an image is a random draw.

    ## What it does
    Reports `predict` of an encoder whose only output is the sampled z, and `predict` of a decoder
    that is given a z which an encoder predicted.

    ## Why is this bad
    z is drawn anew with each call: the same image gets another code and another reconstruction each
    time. An embedding, a plot of the latent space and a reconstruction need the mean.

    ## Example
    ```python
    mu, log_var, z = encoder.predict(x_test)
    x_decoded = decoder.predict(z)
    ```

    ## Use instead
    ```python
    mu, log_var, z = encoder.predict(x_test)
    x_decoded = decoder.predict(mu)
    ```
    """

    code = "KLB312"
    title = "A prediction is made from a random draw"
    severity = Severity.WARNING
    why = (
        "Every Keras draws the noise in predict too: call it twice, and the same data give two "
        "results. A draw is right for an estimate over many draws, and mu for everything else."
    )
    recipe = "7-tensor-transfer"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such prediction."""
        for call in program.method_calls("predict"):
            origins = origins_of(program)
            given = call.arguments.get(0, "x")
            if _is_code(given, origins):
                name = dotted(call.node.args[0] if call.node.args else None, "z")
                yield self.finding(
                    call.node,
                    f"{dotted(call.node.func)} is given {name}, which the encoder draws at random.",
                    f"Give it the mean instead, an output of the encoder beside {name}.",
                )
            elif any(_is_encoder(owner, origins) for owner in call.owners):
                model = dotted(call.node.func).rpartition(".")[0] or "The encoder"
                yield self.finding(
                    call.node,
                    f"The only output of {model} is drawn at random.",
                    f"Make the mean an output of {model} too, and use that.",
                )


def _is_code(value: Value | None, origins: Origins) -> bool:
    """Whether a value is a z that an encoder predicted."""
    made = origins.call(value)
    return made is not None and _predicts(made[0]) and origins.is_noisy(value)


def _predicts(call: Call) -> bool:
    return any(isinstance(f, Attribute) and f.name == "predict" for f in options(call.function))


def _is_encoder(model: Value, origins: Origins) -> bool:
    """Whether a model returns a sampled z and nothing else."""
    return isinstance(model, Instance) and origins.is_noisy(model.outputs)
