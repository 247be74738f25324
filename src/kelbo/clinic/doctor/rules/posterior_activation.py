"""KLB313."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from kelbo.clinic.doctor.expressions import Atom, Operation
from kelbo.clinic.doctor.objective import kl_terms
from kelbo.clinic.doctor.origins import origins_of
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Tensor, options


@dataclass(frozen=True)
class _Role:
    """A parameter of the posterior.

    Args:
        name: "mu" or "log_var".
        bad: the activations that it must not end in, each with the consequence.
    """

    name: str
    bad: dict[str, str]


_MEAN = _Role(
    "mu",
    {
        "elu": "it is never below -1",
        "hard_sigmoid": "it lies between 0 and 1",
        "relu": "it is never below 0",
        "relu6": "it lies between 0 and 6",
        "sigmoid": "it lies between 0 and 1",
        "softmax": "it lies between 0 and 1",
        "softplus": "it is never below 0",
        "tanh": "it lies between -1 and 1, where the prior has 68% of a latent dimension",
    },
)
_LOG_VAR = _Role(
    "log_var",
    {
        "elu": "the variance is never below 0.37",
        "hard_sigmoid": "the variance lies between 1 and 2.72",
        "relu": "the variance is never below 1",
        "relu6": "the variance is never below 1",
        "sigmoid": "the variance lies between 1 and 2.72",
        "softmax": "the variance lies between 1 and 2.72",
        "softplus": "the variance is never below 1",
        "tanh": "the variance lies between 0.37 and 2.72",
    },
)
# A scaled tanh was chosen for its limits.
_SCALED_LOG_VAR = _Role("log_var", {name: _LOG_VAR.bad[name] for name in ("relu", "softplus")})


class PosteriorActivation(Rule):
    """mu or log_var comes from a layer with an activation that it must not have.

    ## What it does
    Takes mu and log_var from the KL term, and reports relu, softplus, sigmoid, softmax, tanh and
    elu in the layers that made them.

    ## Why is this bad
    The mean of a Gaussian may be any number, and so may the logarithm of its variance. A log_var
    that cannot be negative means a variance of 1 or more: the posterior is never narrower than the
    prior, and z says next to nothing about x. A mu that ends in tanh stays between -1 and 1: this
    may be intended, but a third of what the prior draws lies outside, where the decoder has seen
    little.

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
        "posterior cannot reach all of them."
    )
    recipe = "6-encoder-layer"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such layer."""
        if program.changes_activations:
            return
        for node, tensor, role in _parameters(program):
            if isinstance(atom := tensor.expression.atom, Operation):
                if isinstance(node, ast.Call) and atom.name in role.bad:
                    yield self._at(node, role.name, atom.name, role)
            elif tensor.activation in role.bad and (call := origins_of(program).layer(tensor)):
                results = (option for option in options(call.result) if isinstance(option, Tensor))
                names = [name for one in (*results, tensor) for name in program.names_of(one)]
                yield self._at(call.node, (names or ["The output"])[0], tensor.activation, role)

    def _at(self, node: ast.AST, name: str, activation: str, role: _Role) -> Finding:
        return self.finding(
            node,
            f"{name} ends in {activation}, so that {role.bad[activation]}.",
            f"Make {name} with a layer that has no activation.",
        )


def _parameters(program: Program) -> Iterator[tuple[ast.AST, Tensor, _Role]]:
    """The tensors that are mu or log_var in a KL term of the script, with their place and role."""
    roles: dict[Atom, _Role] = {}
    for _, kl in kl_terms(program):
        if kl.mean.atom is not None:
            roles[kl.mean.atom] = _MEAN
        for scale, atoms in kl.log_var.terms:
            if len(kl.log_var.terms) == len(atoms) == 1 and scale > 0:
                roles[atoms[0]] = _LOG_VAR if scale == 1 else _SCALED_LOG_VAR
    for node, tensor in program.tensors if roles else ():
        atom = tensor.expression.atom
        if atom in roles:
            yield node, tensor, roles[atom]
