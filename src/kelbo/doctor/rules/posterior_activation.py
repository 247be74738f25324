"""KLB313."""

from collections.abc import Iterator

from kelbo.doctor.expressions import Opaque
from kelbo.doctor.objective import kl_terms
from kelbo.doctor.origins import origins_of
from kelbo.doctor.program import Program
from kelbo.doctor.rule import Finding, Rule, Severity
from kelbo.doctor.values import Tensor, options

_OF_MEAN = {
    "relu": "it is never below 0",
    "softplus": "it is never below 0",
    "sigmoid": "it lies between 0 and 1",
    "softmax": "it lies between 0 and 1",
}
_OF_LOG_VAR = {
    "relu": "the variance is never below 1",
    "softplus": "the variance is never below 1",
    "sigmoid": "the variance lies between 1 and 2.72",
    "softmax": "the variance lies between 1 and 2.72",
}


class PosteriorActivation(Rule):
    """mu or log_var comes from a layer with an activation that it must not have.

    ## What it does
    Takes mu and log_var from the KL term, and reports relu, softplus, sigmoid and softmax in the
    layers that made them.

    ## Why is this bad
    The mean of a Gaussian is any number, and so is the logarithm of its variance. A log_var that
    cannot be negative means a variance of 1 or more: the posterior is never narrower than the
    prior, and z says next to nothing about x.

    ## Example
    ```python
    mu = keras.layers.Dense(latent_dim, activation="relu")(h)
    log_var = keras.layers.Dense(latent_dim, activation="relu")(h)
    ```

    ## Use instead
    ```python
    mu = keras.layers.Dense(latent_dim)(h)
    log_var = keras.layers.Dense(latent_dim)(h)
    ```
    """

    code = "KLB313"
    title = "mu or log_var has an activation"
    severity = Severity.WARNING
    why = (
        "Every Keras trains it silently. mu and log_var of a Gaussian may be any number, and this "
        "posterior cannot reach most of them."
    )
    recipe = "6-encoder-layer"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such layer."""
        if program.changes_activations:
            return
        roles: dict[Opaque, dict[str, str]] = {}
        for _, kl in kl_terms(program):
            for expression, bad in ((kl.mean, _OF_MEAN), (kl.log_var, _OF_LOG_VAR)):
                for _, atoms in expression.terms:
                    if len(atoms) == 1 and isinstance(atoms[0], Opaque):
                        roles[atoms[0]] = bad
        for _, tensor in program.tensors if roles else ():
            bad = roles.get(tensor.opaque, {}) if tensor.opaque is not None else {}
            call = origins_of(program).layer(tensor) if tensor.activation in bad else None
            if call is not None:
                results = (option for option in options(call.result) if isinstance(option, Tensor))
                names = [name for one in (*results, tensor) for name in program.names_of(one)]
                name = names[0] if names else "The output"
                activation = str(tensor.activation)
                yield self.finding(
                    call.node,
                    f"{name} ends in {activation}, so that {bad[activation]}.",
                    f"Make {name} with a layer that has no activation.",
                )
