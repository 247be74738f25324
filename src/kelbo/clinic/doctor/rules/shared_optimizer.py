"""KLB504."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Opaque
from kelbo.clinic.doctor.origins import origins_of
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Attribute, Instance, Known, Tensor, Value, options
from kelbo.clinic.doctor.words import dotted

_VARIABLES = ("trainable_variables", "trainable_weights", "variables", "weights")
_OPTIMIZERS, _LEGACY = "keras.optimizers.", "keras.optimizers.legacy."


class SharedOptimizer(Rule):
    """One optimizer is applied to two sets of variables.

    ## What it does
    Reports `apply_gradients`, `apply` and `minimize` of an optimizer that was applied before to
    the variables of other layers or models. An optimizer that is built with all of them first is
    left alone.

    ## Why is this bad
    An optimizer keeps its moments for the variables that it first gets. For all others it stops:
    ValueError, Unknown variable.

    ## Example
    ```python
    optimizer.apply_gradients(zip(g_vae, vae.trainable_variables))
    optimizer.apply_gradients(zip(g_critic, critic.trainable_variables))
    ```

    ## Use instead
    ```python
    optimizer.apply_gradients(zip(g_vae, vae.trainable_variables))
    critic_optimizer.apply_gradients(zip(g_critic, critic.trainable_variables))
    ```
    """

    code = "KLB504"
    title = "One optimizer is applied to two sets of variables"
    severity = Severity.ERROR
    explanation = "one-optimizer-two-sets"
    recipe = "5-train-step"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every call with variables that the first call of the same optimizer did not have."""
        built = {_key(call) for call in program.method_calls("build")}
        first: dict[object, set[Instance]] = {}
        for call, owners in _applied(program):
            key = _key(call)
            if key is None or key in built or call.guarded:
                continue
            known = first.setdefault(key, owners)
            if known is owners or owners <= _reached(known, program):
                continue
            name = dotted(call.node.func).rpartition(".")[0] or "The optimizer"
            yield self.finding(
                call.node,
                f"{name} is applied here to other variables than the first time.",
                f"Make a second optimizer for them; or call {name}.build with all variables before "
                "the first step.",
            )


def _applied(program: Program) -> Iterator[tuple[Call, set[Instance]]]:
    """The calls that apply gradients, each with the layers and models whose variables they take."""
    results = [one for call in program.calls for one in options(call.result)]
    owners_of_steps = [step.function.owner for step, _ in program.results]
    made = {id(one): one for one in (*results, *owners_of_steps) if isinstance(one, Instance)}
    zipped: dict[ast.AST, Value] = {}
    for call in program.calls:
        if "builtins.zip" in call.names and len(call.arguments.positional) == 2:
            zipped[call.node] = call.arguments.positional[1]
        value: Value | None = None
        if call.method == "apply_gradients" and call.node.args:
            value = zipped.get(call.node.args[0])
        elif call.method in ("apply", "minimize"):
            value = call.arguments.get(1, "trainable_variables", "var_list")
        owners = _owners(value, made)
        if owners:
            yield call, owners


def _owners(value: Value | None, made: dict[int, Instance]) -> set[Instance] | None:
    """The layers and models whose variables a sum consists of; None if one is not known."""
    if isinstance(value, Attribute):
        known = value.name in _VARIABLES and isinstance(value.owner, Instance)
        return {value.owner} if known else None  # type: ignore[arg-type]
    if not isinstance(value, Tensor):
        return None
    found = set()
    for coefficient, atoms in value.expression.terms:
        key = atoms[0].key if len(atoms) == 1 and isinstance(atoms[0], Opaque) else ()
        if coefficient != 1.0 or len(key) != 3 or key[0] != "attribute" or key[1] not in made:
            return None
        if key[2] not in _VARIABLES:
            return None
        found.add(made[key[1]])
    return found or None


def _key(call: Call) -> object:
    """What stands for the optimizer of a call: the object, or its name within one step."""
    optimizers = {one for one in call.owners if isinstance(one, Instance)}
    if optimizers:
        (one, *others) = optimizers
        name = one.of.name if isinstance(one.of, Known) else ""
        is_optimizer = name.startswith(_OPTIMIZERS) and not name.startswith(_LEGACY)
        return one if is_optimizer and not others else None
    name = dotted(call.node.func).rpartition(".")[0]
    return (name, call.step) if name == "self.optimizer" and call.step is not None else None


def _reached(owners: set[Instance], program: Program) -> set[Instance]:
    """Layers and models with all that is known to be inside them."""
    found: set[Instance] = set()
    todo = list(owners)
    while todo:
        here = todo.pop()
        if here not in found:
            found.add(here)
            todo.extend(origins_of(program).parts_of(here))
            values = here.attributes.values()
            todo.extend(one for v in values for one in options(v) if isinstance(one, Instance))
    return found
