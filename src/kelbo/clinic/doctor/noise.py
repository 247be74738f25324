"""The noise of z: what the script multiplies by a standard deviation where a model is computed."""

import ast
from dataclasses import dataclass
from functools import cached_property

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.expressions import Expression, Noise, Operation
from kelbo.clinic.doctor.program import Call, Program, once
from kelbo.clinic.doctor.values import (
    Class,
    Function,
    Instance,
    Items,
    Step,
    Tensor,
    Value,
    options,
)

# What is never negative, and ends the computation of a standard deviation.
_DEVIATIONS = ("exp", "sqrt", "softplus")


@dataclass(frozen=True)
class Draw:
    """A call that draws the noise of a z.

    Args:
        calls: it, each time that it was followed.
        passed: whether the script hands what it drew to its own functions or layers.
        inside: whether it is written in a function that runs in a training step.
        latents: how many latent dimensions of a datum it is the noise of; None where that is not
            known.
    """

    calls: tuple[Call, ...]
    passed: bool
    inside: bool
    latents: int | None = None

    @property
    def node(self) -> ast.Call:
        """Where."""
        return self.calls[0].node

    @property
    def in_step(self) -> bool:
        """Whether it is always drawn in a training step."""
        return all(call.step is not None for call in self.calls)

    def is_of(self, *libraries: str) -> bool:
        """Whether one of these libraries draws it, as "keras."."""
        return all(name.startswith(libraries) for call in self.calls for name in call.names)

    @cached_property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes of its shape, None for what is not known; empty where that is all of it."""
        shapes = [_sizes(call.arguments.get(0, "shape")) for call in self.calls]
        if len(set(map(len, shapes))) > 1:
            return ()
        alike = ((first, set(others)) for first, *others in zip(*shapes, strict=True))
        return tuple(first if others <= {first} else None for first, others in alike)

    @property
    def is_scalar(self) -> bool:
        """Whether it is one number."""
        return all(call.arguments.get(0, "shape") == Items(()) for call in self.calls)

    @property
    def written_shape(self) -> str:
        """The shape as the script has it."""
        named = [keyword.value for keyword in self.node.keywords if keyword.arg == "shape"]
        return ast.unparse(named[0] if named else self.node.args[0])


@once
def draws_of_z(program: Program) -> list[Draw]:
    """Every draw of the noise of a z, in any order."""
    draws: dict[ast.AST, list[Call]] = {}
    for call in program.calls:
        if isinstance(call.result, Tensor):
            atom = call.result.expression.atom
            if isinstance(atom, Noise) and atom.node is call.node:
                draws.setdefault(call.node, []).append(call)
    if not draws:
        return []
    in_steps = {node for step, _ in program.results for node in ast.walk(step.function.node)}
    passed = {noise for call in program.calls for noise in _passed(call)}
    taped = {call.step for call in program.calls_of("tensorflow.GradientTape")}
    found = {}
    for node, value in program.tensors:
        if isinstance(node, ast.BinOp | ast.Call):
            for noise in _scaled(value.expression):
                calls = draws.get(noise, [])
                trained = any(_is_trained(call.step, taped) for call in calls)
                computed = value.symbolic or node in in_steps or trained
                if calls and computed:
                    found[noise] = Draw(
                        tuple(calls), noise in passed, noise in in_steps, _latents(node, program)
                    )
    return list(found.values())


def _is_trained(step: Step | None, taped: set[Step | None]) -> bool:
    """Whether Keras runs a step, or else it has a tape.

    What tf.function compiles may draw many values for one datum, as a policy or a forecast does.
    """
    return step is not None and (step.kind != "tf.function" or step in taped)


def _scaled(expression: Expression) -> set[ast.AST]:
    """The draws of a Gaussian that a standard deviation is multiplied by."""
    return {
        noise.node
        for _, atoms in expression.terms
        if any(isinstance(atom, Operation) and atom.name in _DEVIATIONS for atom in atoms)
        for noise in atoms
        if isinstance(noise, Noise) and noise.kind == "normal"
    }


def _latents(node: ast.AST, program: Program) -> int | None:
    """The latent dimensions beside a draw: of mu that is added to it, of what multiplies it."""
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else []
    shapes = [getattr(program.value(side), "shape", None) for side in sides]
    sizes = {shape[1] for shape in shapes if shape is not None and len(shape) == 2}
    numbers = [size for size in sizes if isinstance(size, int) and size > 1]
    return numbers[0] if len(numbers) == 1 else None


def _passed(call: Call) -> set[ast.AST]:
    """The draws that a function or a layer of the script is given from outside of a step."""
    if call.step is not None or not any(map(_is_own, options(call.function))):
        return set()
    given = (value for value in call.arguments if isinstance(value, Tensor))
    return {
        atom.node
        for value in given
        for _, atoms in value.expression.terms
        for atom in atoms
        if isinstance(atom, Noise)
    }


def _is_own(function: Value) -> bool:
    made = function.of if isinstance(function, Instance) else function
    return isinstance(made, Function | Class)


def _sizes(shape: Value | None) -> tuple[int | None, ...]:
    if isinstance(shape, Items):
        return tuple(library.whole(item) for item in shape.items)
    return library.sizes(shape) or ()
