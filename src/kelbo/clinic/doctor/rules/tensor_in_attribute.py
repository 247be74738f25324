"""KLB503."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.expressions import Noise, Opaque, of
from kelbo.clinic.doctor.origins import atoms_of, origins_of
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Function, Instance, Items, Tensor, Value, options
from kelbo.clinic.doctor.words import dotted, in_words


class TensorInAttribute(Rule):
    """call keeps a tensor in an attribute.

    ## What it does
    Reports `self.x = ...` in the `call` of a layer or a model where the value is computed from its
    inputs.

    ## Why is this bad
    `call` runs once, to trace the step, and the attribute holds a tensor of that trace. Read after
    `fit` it is out of scope, and with `import keras` on JAX it is an escaped tracer.

    ## Example
    ```python
    def call(self, x):
        self.mu, self.log_var, z = self.encoder(x)
        return self.decoder(z)
    ```

    ## Use instead
    ```python
    def call(self, x):
        mu, log_var, z = self.encoder(x)
        return {"x": self.decoder(z), "mu": mu, "log_var": log_var}
    ```
    """

    code = "KLB503"
    title = "call keeps a tensor in an attribute"
    severity = Severity.WARNING
    explanation = "tensor-out-of-scope"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such assignment."""
        for made in program.classes:
            call = made.body.get("call")
            if not made.is_layer or not isinstance(call, Function):
                continue
            inputs = call.parameters[1:2]
            for node in ast.walk(call.node):
                if not isinstance(node, ast.Assign):
                    continue
                names = [name for target in node.targets for name in _attributes(target, call)]
                value = program.value(node.value)
                if names and _is_computed(value, program, inputs):
                    owner, _, local = names[0].partition(".")
                    what, keep = "a tensor", "Keep it in a local name and return it"
                    if len(names) > 1:
                        what, keep = "tensors", "Keep them in local names and return them"
                    yield self.finding(
                        node,
                        f"{made.name}.call stores {what} of this batch in {in_words(names)}.",
                        f"{keep} from call; or pass what you want to watch to a metric, "
                        f"{owner}.tracker.update_state({local}).",
                    )


def _attributes(target: ast.expr, call: Function) -> list[str]:
    """The attributes of self that an assignment sets."""
    if isinstance(target, ast.Tuple | ast.List):
        return [name for element in target.elts for name in _attributes(element, call)]
    owner = call.parameters[0] if call.parameters else "self"
    name = dotted(target) if isinstance(target, ast.Attribute) else ""
    return [name] if name.startswith(f"{owner}.") and name.count(".") == 1 else []


def _is_computed(value: Value, program: Program, inputs: list[str]) -> bool:
    """Whether a value depends on the batch: on noise, on a layer's output, on the inputs."""
    if isinstance(value, Items):
        return bool(value.items) and all(
            _is_computed(item, program, inputs) for item in value.items
        )
    if not isinstance(value, Tensor):
        return False
    for atom in atoms_of(value):
        if isinstance(atom, Noise):
            return True
        if isinstance(atom, Opaque):
            source = Opaque(atom.key[:1])
            if set(program.names.get(source, ())) & set(inputs):
                return True
            made = (origins_of(program).call(Tensor(of(one))) for one in (atom, source))
            calls = (call for call, _ in filter(None, made))
            if any(
                isinstance(f, Instance) and f.is_layer for c in calls for f in options(c.function)
            ):
                return True
    return False
