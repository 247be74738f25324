"""KLB206."""

from collections.abc import Iterable, Iterator

from kelbo.clinic.doctor.divergence import KL
from kelbo.clinic.doctor.expressions import Divergence
from kelbo.clinic.doctor.objective import Loss, losses, outputs
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.route import MeanRoute
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Class, Function, Instance, Tensor
from kelbo.clinic.doctor.words import dotted


class MeanDecoded(Rule):
    """The decoder gets mu, there is no noise, and the loss has a KL term.

    ## What it does
    Follows the reconstruction in the loss back through the layers that made it. Reports it if it
    comes from the mu of the KL term, and neither noise nor log_var is on the way. Where something
    unknown is on the way, or log_var goes into something unknown, nothing is reported.

    ## Why is this bad
    z is mu. The reconstruction does not depend on log_var, so the KL term alone trains it and takes
    the variance to 1 for each datum. What is left of the KL term is a penalty on mu^2: the model is
    a plain autoencoder with a penalty. It has no z that is drawn, and its loss is no bound on
    log p(x).

    ## Example
    ```python
    x_decoded = decoder(mu)
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    ```

    ## Use instead
    ```python
    noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
    z = mu + ops.exp(0.5 * log_var) * noise
    x_decoded = decoder(z)
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
    ```
    """

    code = "KLB206"
    title = "The decoder gets mu, and no noise"
    severity = Severity.WARNING
    why = (
        "Every Keras trains it silently. The reconstruction gives log_var no gradient, and the KL "
        "term takes it to 0: this is an autoencoder with a penalty on mu^2, not a VAE."
    )
    docs = "docs/kl-loss.md"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every loss whose reconstruction is made of mu alone."""
        for loss in losses(program):
            terms = [term.content for term in loss.terms if isinstance(term.content, KL)]
            if len(terms) != 1:
                continue
            route = MeanRoute(program, terms[0])
            entries = [route.entry(decoded) for decoded in _reconstructions(program, loss)]
            known = [entry for entry in entries if entry is not None]
            if known and len(known) == len(entries) and not route.log_var_is_used:
                for entry in known:
                    yield self._at(program, entry, terms[0])

    def _at(self, program: Program, entry: Call, kl: KL) -> Finding:
        mean = dotted(next(iter(entry.node.args), None), (program.names_of(kl.mean) or ["mu"])[0])
        log_var = (program.names_of(kl.log_var) or ["log_var"])[0]
        return self.finding(
            entry.node,
            f"The reconstruction is made of {mean} without noise: the KL term alone trains "
            f"{log_var}.",
            f"Draw z = {mean} + exp(0.5 * log_var) * noise in a layer, and give it to the decoder; "
            "for an autoencoder, leave out log_var and the KL term.",
        )


def _reconstructions(program: Program, loss: Loss) -> list[Tensor]:
    """What a loss compares with the data; empty if it is not known."""
    if loss.step is not None and _has_modes(loss.step.function):
        return []
    if loss.step is not None and loss.step.kind == "loss":
        # The loss gets what the model returns that is compiled with it.
        return _outputs(program, (c for c in program.calls if c.node is loss.step.node))
    divergences = [t.content for t in loss.terms if isinstance(t.content, Divergence)]
    if not divergences and loss.by_layer:
        return _outputs(program, program.method_calls("compile"))
    decoded = [divergence.output for divergence in divergences]
    return [Tensor(output) for output in decoded if output is not None]


def _outputs(program: Program, compiled: Iterable[Call]) -> list[Tensor]:
    """The outputs of the models that are compiled; empty if any is not a known tensor."""
    owners = [owner for call in compiled for owner in call.owners]
    made = [owner.of for owner in owners if isinstance(owner, Instance)]
    calls = [one.find("call") for one in made if isinstance(one, Class)]
    if any(isinstance(call, Function) and _has_modes(call) for call in calls):
        return []
    found = [outputs(program, owner) for owner in owners]
    tensors = [output for output in found if isinstance(output, Tensor)]
    return tensors if len(tensors) == len(found) else []


def _has_modes(function: Function) -> bool:
    """Whether a function may do something else when the model is trained."""
    return "training" in function.parameters
