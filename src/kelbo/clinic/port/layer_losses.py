"""What layers add to the loss by themselves, as Keras 2 summed it: add_loss and regularizers."""

import ast
from collections.abc import Set as AbstractSet

import libcst as cst

from kelbo.clinic.doctor.objective import compiled_reconstruction, images, outputs
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import (
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Known,
    Tensor,
    Value,
    is_symbolic,
    options,
)
from kelbo.clinic.port.edits import Unportable, code_of, with_arguments
from kelbo.clinic.port.formula import (
    LAYERS,
    RECONSTRUCTION,
    Formula,
    arguments_of_losses,
    formula,
    placed,
)
from kelbo.clinic.port.script import Script, model_of

# Libraries whose functions and layers add nothing to a loss by themselves, and exceptions.
_KNOWN = ("builtins", "keras", "numpy", "tensorflow")
_ADDS = {"keras.layers.ActivityRegularization", "keras.models.load_model"}
# The regularizers of a layer come after this many arguments.
_FIRST_REGULARIZER = 5
# These methods of a layer of the script get tensors and make no other layer.
_METHODS = {"add_loss", "add_metric"}


def port_layer_losses(script: Script) -> None:
    """Give add_loss of a layer one number, as Keras 2 reported it: Keras 3 sums over the batch."""
    for call in script.calls_in(script.source.tree):
        if call.method != "add_loss" or _is_of_a_graph(call):
            continue
        with script.attempt(call.node):
            known = any(isinstance(owner, Instance) for owner in call.owners)
            if not known and not _is_in_a_class(script, call):
                raise Unportable(
                    call.node,
                    f"{script.code(call.node.func)} adds a loss from outside to a layer or a model "
                    "that is not known.",
                )
            _port_added(script, call)


def _port_added(script: Script, call: Call) -> None:
    given = call.arguments.get(0, "losses", "loss")
    if any(isinstance(one, Function) for one in options(given)):
        raise Unportable(call.node, "add_loss of Keras 3 takes no function: give it its value.")
    raw = script.adds_losses_itself or not _is_of_keras_2(script)
    if not raw and isinstance(given, Tensor) and given.shape != ():
        script.edits.change(
            call.node, lambda node: _with_mean(cst.ensure_type(node, cst.Call), script.ops)
        )


def are_numbers(script: Script) -> bool:
    """Whether everything that the script gives add_loss is certain to be one number."""
    given = [
        call.arguments.get(0, "losses", "loss")
        for call in script.program.calls
        if call.method == "add_loss"
    ]
    return all(isinstance(one, Tensor) and one.shape == () for one in given)


def _with_mean(call: cst.Call, ops: str) -> cst.Call:
    """`add_loss(loss)` as `add_loss(ops.mean(loss))`."""
    first, *rest = call.args
    code = code_of(first.value.with_changes(lpar=[], rpar=[]))
    mean = first.with_changes(value=cst.parse_expression(f"{ops}.mean({code})"))
    return with_arguments(call, [mean, *rest])


def _is_of_keras_2(script: Script) -> bool:
    """Whether the script mentions nothing of keras.ops, with which Keras 3 computes a loss."""
    return not script.program.uses("keras.ops")


def _is_of_a_graph(call: Call) -> bool:
    """Whether a functional model is given a loss of its graph, which moves into compute_loss."""
    return call.step is None and any(model_of(owner) is not None for owner in call.owners)


def _is_in_a_class(script: Script, call: Call) -> bool:
    return any(isinstance(outer, ast.ClassDef) for outer in script.above(call.node)) and isinstance(
        call.node.func, ast.Attribute
    )


def added_by_layers(script: Script, moved: AbstractSet[ast.AST] = frozenset()) -> bool:
    """Whether layers of the script, or layers that are not known, may add to the loss.

    Args:
        script: the script.
        moved: the calls of add_loss that become lines of compute_loss.
    """
    calls = script.program.calls
    ported = {c.node for c in calls if c.method == "add_loss" and _is_of_a_graph(c)} | moved
    called = {call.node.func: call.node for call in calls}
    added = [
        node
        for node in ast.walk(script.source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "add_loss"
        and called.get(node) not in ported
    ]
    return bool(added) or any(
        call.method not in _METHODS
        and is_symbolic(call.arguments.all)
        and any(map(_is_foreign, options(call.function)))
        for call in calls
    )


def regularized(script: Script) -> bool:
    """Whether a layer is given a regularizer, of its weights or of its output."""
    set_later = any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr.endswith("_regularizer")
        for node in ast.walk(script.source.tree)
    )
    return set_later or any(_is_regularized(script, call) for call in script.program.calls)


def _is_regularized(script: Script, call: Call) -> bool:
    for word in call.node.keywords:
        of_layer = word.arg is not None and word.arg.endswith("_regularizer")
        if of_layer and script.program.value(word.value) != Constant(None):
            return True
    made = [one for one in options(call.result) if isinstance(one, Instance) and one.is_layer]
    return bool(made) and (
        bool(call.names & _ADDS)
        or any(one.node is call.node and _takes_regularizers(one) for one in made)
    )


def formula_beside(script: Script) -> Formula | None:
    """The formula of a script in which only layers add to the loss of compile.

    Returns:
        None if the script compiles several models, or its loss cannot be read.
    """
    program = script.program
    compiled = {
        call.node: (call, owner)
        for call in program.method_calls("compile")
        for owner in call.owners
        if isinstance(owner, Instance) and owner.is_model
    }
    if len(compiled) != 1:
        return None
    ((call, owner),) = compiled.values()
    output = outputs(program, owner)
    if not isinstance(output, Tensor) or call.arguments.more:
        return None
    shape = output.shape or images(program)
    given = options(call.arguments.get(1, "loss"))
    named = [compiled_reconstruction(option, shape) for option in given]
    of_script = [r for step, r in program.results if step.node is call.node and step.kind == "loss"]
    known = [term for term in named if term is not None]
    if len(known) + len(of_script) != len([one for one in given if one != Constant(None)]):
        return None
    places = dict(placed(output, RECONSTRUCTION)) | arguments_of_losses(program, [call.node])
    return formula(program, of_script, known, places, added=LAYERS)


def _takes_regularizers(made: Instance) -> bool:
    """Whether a layer of Keras is made with a regularizer among arguments that are not named."""
    given = made.arguments
    named = any(
        name.endswith("_regularizer") and value != Constant(None) for name, value in given.keywords
    )
    many = len(given.positional) > _FIRST_REGULARIZER
    return not made.is_model and isinstance(made.of, Known) and (named or many or given.more)


def _is_foreign(function: Value) -> bool:
    """Whether what gets tensors of the graph is neither the script's nor of a known library."""
    if isinstance(function, Known):
        return not function.name.startswith(_KNOWN) or function.name in _ADDS
    if isinstance(function, Instance | Class):
        kind = function.of if isinstance(function, Instance) else function
        if isinstance(kind, Known):
            return _is_foreign(kind)
        return not all(isinstance(base, Class) or _is_known(base) for base in kind.bases)
    return not isinstance(function, Function) and not _is_a_method(function)


def _is_known(base: Value) -> bool:
    return isinstance(base, Known) and base.name.startswith(_KNOWN)


def _is_a_method(function: Value) -> bool:
    """Whether a function is a method of a list, of a tensor of the graph, or of Keras's models."""
    owner = getattr(function, "owner", None)
    if isinstance(owner, Instance):
        return owner.is_layer and isinstance(owner.of, Known)
    return isinstance(owner, Items) or is_symbolic(owner)
