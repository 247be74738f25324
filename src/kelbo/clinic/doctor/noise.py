"""Finds the noise of z: the random numbers that a model multiplies by a standard deviation."""

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

# The last operation of a standard deviation: it is never negative.
_DEVIATIONS = ("exp", "sqrt", "softplus")


@dataclass(frozen=True)
class Draw:
    """A call that draws the noise of a z.

    Args:
        calls: the call, once for each time that it was followed.
        passed: whether the script passes what it drew to its own functions or layers.
        inside: whether it is written in a function that runs in a training step.
        latents: the number of latent dimensions of a datum that it is the noise of; None if not
            known.
    """

    calls: tuple[Call, ...]
    passed: bool
    inside: bool
    latents: int | None = None

    @property
    def node(self) -> ast.Call:
        """The syntax of the call."""
        return self.calls[0].node

    @property
    def in_step(self) -> bool:
        """Whether it is always drawn in a training step."""
        return all(call.step is not None for call in self.calls)

    def is_of(self, *libraries: str) -> bool:
        """Whether one of these libraries draws it, by prefixes such as "keras."."""
        return all(name.startswith(libraries) for call in self.calls for name in call.names)

    @cached_property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes of its shape, None where one is not known; empty if none is."""
        shapes = [_sizes(call.arguments.get(0, "shape")) for call in self.calls]
        if len(set(map(len, shapes))) > 1:
            return ()
        alike = ((first, set(others)) for first, *others in zip(*shapes, strict=True))
        return tuple(first if others <= {first} else None for first, others in alike)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single number."""
        return all(call.arguments.get(0, "shape") == Items(()) for call in self.calls)

    @property
    def written_shape(self) -> str:
        """The shape as the script writes it."""
        named = [keyword.value for keyword in self.node.keywords if keyword.arg == "shape"]
        return ast.unparse(named[0] if named else self.node.args[0])


@once
def draws_of_z(program: Program) -> list[Draw]:
    """Every draw of noise for a z, in any order."""
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
    """Whether Keras runs a step, or the script takes its gradient with a tape.

    Other functions of tf.function may draw many values for a datum, as a policy or a forecast does.
    """
    return step is not None and (step.kind != "tf.function" or step in taped)


def _scaled(expression: Expression) -> set[ast.AST]:
    """The draws of Gaussian noise that are multiplied by a standard deviation."""
    return {
        noise.node
        for _, atoms in expression.terms
        if any(isinstance(atom, Operation) and atom.name in _DEVIATIONS for atom in atoms)
        for noise in atoms
        if isinstance(noise, Noise) and noise.kind == "normal"
    }


def _latents(node: ast.AST, program: Program) -> int | None:
    """The number of latent dimensions, by the shapes of what is added to or multiplies a draw."""
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else []
    shapes = [getattr(program.value(side), "shape", None) for side in sides]
    sizes = {shape[1] for shape in shapes if shape is not None and len(shape) == 2}
    numbers = [size for size in sizes if isinstance(size, int) and size > 1]
    return numbers[0] if len(numbers) == 1 else None


def _passed(call: Call) -> set[ast.AST]:
    """The draws that a call outside of a step passes to a function or a layer of the script."""
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
