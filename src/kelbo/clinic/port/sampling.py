"""z = mu + sigma * noise becomes a layer that owns the state of its random numbers."""

import ast
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import libcst as cst

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import Class, Constant, Function, Items, Known, Tensor, options
from kelbo.clinic.doctor.words import in_words
from kelbo.clinic.port.captured import captured
from kelbo.clinic.port.edits import (
    Unportable,
    apart,
    argument_node,
    code_of,
    indented,
    renamed,
    statements,
    with_argument,
    without,
)
from kelbo.clinic.port.registered import REGISTERED
from kelbo.clinic.port.script import Script, argument, function_of

_NAMES = ("Sampling", "SamplingLayer")
# The steps whose noise needs a generator; a train_step is TensorFlow's.
_DRAWN_IN = ("call", "loss", "metric")


def port_sampling(script: Script) -> None:
    """Turn Lambdas that draw noise into layers, and give layers that do a generator."""
    made: dict[ast.AST, tuple[str, Mapping[str, str]]] = {}
    for call, layer in script.program.instances("keras.layers.Lambda"):
        function = function_of(layer.arguments.get(0, "function") or Known("", ""))
        if function is None or not noise_in(script, function.node):
            continue
        script.seeded |= {noise.node for noise in noise_in(script, function.node)}
        with script.attempt(call.node):
            if function.node not in made:
                made[function.node] = _lambda_becomes_layer(script, call, function, len(made))
            _respell_call(script, call, *made[function.node])
    for written in script.program.classes:
        noises = [noise for noise in noise_in(script, written.node) if noise.step is not None]
        trains = {"train_step", "test_step", "compute_loss"} & set(written.body)
        noises = noises if written.is_layer and not trains else []
        if noises:
            script.seeded |= {noise.node for noise in noises}
            with script.attempt(written.node):
                _layer_gets_generator(script, written, noises)


def leave_noise(script: Script) -> None:
    """List the noise that has no state of its own: Keras 3 on JAX refuses it."""
    for call in noise_in(script, script.source.tree):
        if call.node in script.seeded or script.is_left(call.node):
            continue
        if call.step is None and _in_graph(script, call):
            script.leave(
                call.node,
                "this noise is drawn once, when the model is built; draw it in a layer's call.",
            )
        elif call.step is not None and call.step.kind in _DRAWN_IN and not _has_seed(script, call):
            script.leave(
                call.node,
                "this noise is drawn in every step, but not by a layer that could hold the state "
                "of its random numbers; give it seed=keras.random.SeedGenerator() of a layer.",
            )


def _has_seed(script: Script, call: Call) -> bool:
    """Whether a function of keras.random is given a seed."""
    seed = argument(call.node, None, "seed")
    return any(name.startswith("keras.random.") for name in call.names) and (
        seed is not None and script.program.value(seed) != Constant(None)
    )


def noise_in(script: Script, node: ast.AST) -> list[Call]:
    """The calls that draw random numbers with Keras or TensorFlow."""
    return [
        call
        for call in script.calls_in(node)
        for name in call.names
        if library.noise(name) and name.startswith(("keras.", "tensorflow."))
    ]


def _in_graph(script: Script, call: Call) -> bool:
    """Whether noise is combined with symbolic tensors, there or where its name is read."""
    parent = script.parents[call.node]
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    mentions = script.mentions(target.id) if isinstance(target, ast.Name) else []
    uses = [call.node, *(mention for mention in mentions if script.made(mention) is call.node)]
    return any(
        getattr(script.program.value(outer), "symbolic", False)
        for use in uses
        for outer in script.above(use)
        if isinstance(outer, ast.BinOp)
    )


def draw_from_generator(
    script: Script,
    call: Call,
    generator: str = "self.seed_generator",
    dtype: str = "self.compute_dtype",
) -> str:
    """Make a call draw from a generator; returns the seed that it had.

    Args:
        script: the script.
        call: the call.
        generator: the generator.
        dtype: the type that it draws; empty for that of Keras.
    """
    script.seeded.add(call.node)
    (name,) = call.names
    seed = next((script.code(k.value) for k in call.node.keywords if k.arg == "seed"), "")
    seed = "" if seed == "None" else seed
    has_dtype = argument(call.node, 3, "dtype") is not None
    shape = argument(call.node, 0, "shape")
    tensor = _tensor_of_shape(script, call.node, shape) if shape is not None else ""

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        drawn = without(cst.ensure_type(node, cst.Call), 4, "seed", "name")
        drawn = renamed(drawn, {"std": "stddev"})
        if tensor:
            like = cst.parse_expression(f"{script.ops}.shape({tensor})")
            drawn = drawn.with_deep_changes(argument_node(drawn, 0, "shape"), value=like)
        # If layers compute in 16 bits, Keras passes this one its inputs in 16 bits.
        drawn = drawn if has_dtype or not dtype else with_argument(drawn, f"dtype={dtype}")
        return with_argument(drawn, f"seed={generator}")

    if not name.startswith("keras.random.") or not any(
        k.arg == "seed" and script.code(k.value).startswith("self.") for k in call.node.keywords
    ):
        script.edits.change(call.node, change)
    return seed


def _tensor_of_shape(script: Script, noise: ast.Call, shape: ast.expr) -> str:
    """The tensor whose shape noise for one batch size has, such as mu for noise of (250, 2).

    Keras 2 built a model for batches of any size from it; Keras 3 does not on every backend.

    Args:
        script: the script.
        noise: the call that draws it.
        shape: the shape that it is given.

    Returns:
        The tensor's name in the function around it; empty if there is none, or for other noise.
    """
    function, given = script.function_around(noise), script.program.value(shape)
    items = given.items if isinstance(given, Items) else ()
    sizes = tuple(item.value for item in items if isinstance(item, Constant))
    if function is None or len(sizes) < max(2, len(items)) or sizes[0] == 1:
        return ""
    for node in ast.walk(function):
        value = script.program.value(node)
        if isinstance(value, Tensor) and value.shape == (None, *sizes[1:]):
            place = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
            root = node.value if isinstance(node, ast.Subscript) and place else node
            if isinstance(root, ast.Name) and _is_bound_above(root.id, noise.lineno, function):
                return script.code(node)
    return ""


def _is_bound_above(name: str, line: int, function: ast.AST) -> bool:
    """Whether a function binds a name above a line, and nowhere else."""
    bound = [
        inner
        for inner in ast.walk(function)
        if isinstance(inner, ast.arg)
        and inner.arg == name
        or isinstance(inner, ast.Name)
        and isinstance(inner.ctx, ast.Store)
        and inner.id == name
    ]
    return len(bound) == 1 and (isinstance(bound[0], ast.arg) or bound[0].lineno < line)


def _lambda_becomes_layer(
    script: Script, call: Call, function: Function, number: int
) -> tuple[str, Mapping[str, str]]:
    """Plan the layer; returns its name, and the arguments with which it is made."""
    node = function.node
    reads = [read.name for read in script.program.symbolic_reads if read.function is node]
    if reads:
        raise Unportable(
            call.node,
            f"the Lambda takes {in_words(reads)} from outside; make it an input of a layer.",
        )
    of_class = isinstance(script.parents[node], ast.ClassDef)
    bound = int(function.owner is not None)
    optional = len(node.args.defaults)
    configured = call.arguments.get(None, "arguments") is not None
    if len(function.parameters) - bound - optional != 1 or optional and configured:
        raise Unportable(call.node, "the Lambda's function has more than one argument.")
    name = script.free_name(*_NAMES) if not number else f"Sampling{number + 1}"
    seeds = [draw_from_generator(script, noise) for noise in noise_in(script, node)]
    if of_class and isinstance(node, ast.FunctionDef):
        _method_becomes_layer(script, call, function, node, name, seeds[0])
        return name, {}
    outside = captured(script, node, call)
    head = layer_head(name, seeds[0], list(outside.values))
    config = _config(list(outside.values))
    if isinstance(node, ast.Lambda):
        body = {"code": ""}

        def keep(expression: cst.BaseExpression) -> cst.BaseExpression:
            body["code"] = code_of(expression)
            return expression

        script.edits.change(node.body, keep)
        parameters = ast.unparse(node.args)

        def method() -> str:
            return f"def call(self, {parameters}):\n    return {body['code']}\n"

        place = script.statement(call.node) if outside.stays else script.top(call.node)
        script.edits.insert(place, lambda: head + indented(method() + config))
        return name, outside.values
    users = [
        mention
        for mention in script.mentions(node.name)
        if not isinstance(script.parents[mention], ast.Call | ast.keyword)
    ]
    calls = [
        mention
        for mention in script.mentions(node.name)
        if getattr(script.parents[mention], "func", None) is mention
    ]
    if users or calls:
        raise Unportable(call.node, f"{node.name} is also used outside the Lambda.")

    script.edits.replace(node, lambda code: head + indented(_as_call(code, bound=False) + config))
    return name, outside.values


def _config(options: Sequence[str]) -> str:
    """The method by which a file keeps the arguments of a layer; empty if it has none."""
    listed = "".join(f', "{option}": self.{option}' for option in options)
    kept = f"\ndef get_config(self):\n    return {{**super().get_config(){listed}}}\n"
    return kept * bool(options)


def _as_call(code: str, bound: bool) -> str:
    """A function as the call method of a layer; `bound` says that it has a self already."""
    method = cst.ensure_type(statements(code)[0], cst.FunctionDef)
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    me = [] if bound else [cst.Param(cst.Name("self"), comma=comma)]
    method = method.with_changes(
        name=cst.Name("call"),
        leading_lines=[],
        decorators=[],
        params=method.params.with_changes(params=[*me, *method.params.params]),
    )
    return code_of(method)


def _method_becomes_layer(
    script: Script, call: Call, function: Function, node: ast.FunctionDef, name: str, seed: str
) -> None:
    """Turn a method into a layer that keeps what the method reads from its object."""
    mentions = [
        other
        for other in ast.walk(script.source.tree)
        if isinstance(other, ast.Attribute) and other.attr == function.name
    ]
    if len(mentions) != 1:
        raise Unportable(call.node, f"{function.name} is also used outside the Lambda.")
    options = attributes_of_self(script, node)

    def layer() -> str:
        method = _as_call(textwrap.dedent(code()), bound=function.owner is not None)
        return layer_head(name, seed, options) + indented(method + _config(options))

    code = script.edits.move(node)
    script.edits.insert(script.top(node), layer)


def attributes_of_self(script: Script, node: ast.AST) -> list[str]:
    """The attributes of its object that a method reads, in order; it may call none of them."""
    found: list[str] = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id == "self":
            outer = script.parents[inner]
            if not isinstance(outer, ast.Attribute) or not isinstance(outer.ctx, ast.Load):
                raise Unportable(
                    inner, "the Lambda's function changes its object, or passes it on."
                )
            called = getattr(script.parents[outer], "func", None) is outer
            if called or function_of(script.program.value(outer)) is not None:
                raise Unportable(inner, f"the Lambda's function calls {script.code(outer)}.")
            found += [outer.attr] * (outer.attr not in found)
    return found


def _respell_call(script: Script, call: Call, name: str, values: Mapping[str, str]) -> None:
    """`Lambda(f, output_shape=..., name="z")` becomes `Sampling(name="z")`."""
    function = function_of(call.arguments.get(0, "function") or Known("", ""))
    owned = function is not None and function.owner is not None
    options = attributes_of_self(script, function.node) if function is not None and owned else []
    given = argument(call.node, 0, "function")
    owner = script.code(given.value) if isinstance(given, ast.Attribute) else ""

    def change(node: cst.BaseExpression) -> cst.BaseExpression:
        made = cst.ensure_type(node, cst.Call).with_changes(func=cst.Name(name))
        made = without(made, 1, "output_shape", "mask", "arguments")
        made = without(made, 0, "function")
        for option in options:
            made = with_argument(made, f"{option}={owner}.{option}")
        for option, code in values.items():
            made = with_argument(made, f"{option}={code}")
        return made

    script.edits.change(call.node, change)


def _layer_gets_generator(script: Script, written: Class, noises: list[Call]) -> None:
    """Give a layer of the script a generator, and register it."""
    if all(name.startswith("keras.random.") for noise in noises for name in noise.names):
        return
    seeds = [draw_from_generator(script, noise) for noise in noises]
    start = written.body.get("__init__")
    known = {
        name.name for d in written.decorators for name in options(d) if isinstance(name, Known)
    }
    registered = any("register_keras_serializable" in name for name in known) or any(
        "register_keras_serializable" in ast.dump(d) for d in written.node.decorator_list
    )

    def with_generator(code: str) -> str:
        line = f"self.seed_generator = keras.random.SeedGenerator({seeds[0]})"
        (made,) = statements(code)
        definition = cst.ensure_type(made, cst.ClassDef)
        block = cst.ensure_type(definition.body, cst.IndentedBlock)
        body: list[Any] = list(block.body)
        if isinstance(start, Function):
            for place, method in enumerate(body):
                if isinstance(method, cst.FunctionDef) and method.name.value == "__init__":
                    inner = cst.ensure_type(method.body, cst.IndentedBlock)
                    lines = [*inner.body, *statements(line)]
                    body[place] = method.with_changes(body=inner.with_changes(body=lines))
        else:
            first = 1 if definition.get_docstring() is not None else 0
            above = [cst.EmptyLine(indent=False)] * first
            body[first:first] = statements(_START.format(seed=seeds[0]), above)
            if len(body) > first + 1:
                body[first + 1] = apart(body[first + 1], 1)
        made = definition.with_changes(body=block.with_changes(body=body), leading_lines=[])
        return ("" if registered else REGISTERED) + code_of(made)

    script.edits.replace(written.node, with_generator)


_START = """\
def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.seed_generator = keras.random.SeedGenerator({seed})
"""


def layer_head(name: str, seed: str, options: Sequence[str] = ()) -> str:
    """A sampling layer up to its call.

    Args:
        name: the name of the layer.
        seed: the seed of its random numbers; empty for none.
        options: the arguments that it takes and keeps.
    """
    start = _START.format(seed=seed)
    start = start.replace("(self, **", f"(self, {''.join(f'{option}, ' for option in options)}**")
    kept = "".join(f"    self.{option} = {option}\n" for option in options)
    start = start.replace("    self.seed", f"{kept}    self.seed")
    return (
        f"{REGISTERED}class {name}(keras.layers.Layer):\n"
        '    """Draws one z for each datum; the state of its random numbers is its own."""\n\n'
        + textwrap.indent(start, "    ")
        + "\n"
    )
