"""Gives compile, fit and the like the arguments that Keras 3 takes."""

import ast
from collections.abc import Iterator, Sequence

import libcst as cst

from kelbo.clinic.port.edits import Unportable, renamed, without
from kelbo.clinic.port.script import Script, argument, function_of, is_none

# The order of arguments in Keras 2, as far as releases agree; in Keras 3 loss_weights comes before
# metrics.
_COMPILE = ("optimizer", "loss", "metrics", "loss_weights")
# What made loss closures work in TensorFlow 2.0 to 2.3.
_EAGERLY = "experimental_run_tf_function"
# What is gone from compile, and means nothing where it is None.
_NOTHING = ("sample_weight_mode", "target_tensors")
_ORDERS = {
    "fit_generator": (
        "x", "steps_per_epoch", "epochs", "verbose", "callbacks", "validation_data",
        "validation_steps",
    ),
    "evaluate_generator": ("x", "steps"),
    "predict_generator": ("x", "steps"),
}  # fmt: skip
_NAMES = {"generator": "x", "nb_epoch": "epochs"}
# How batches are fetched, which changes no number.
_FETCHING = (
    "max_q_size",
    "max_queue_size",
    "nb_worker",
    "pickle_safe",
    "use_multiprocessing",
    "workers",
)
_IN_DATA = ("nb_val_samples", "samples_per_epoch", "val_samples")
# With these words of Keras 1 the second argument counts data, too.
_KERAS_1 = ("max_q_size", "nb_epoch", "nb_worker", "pickle_safe")


def respell_training(script: Script) -> None:
    """Name positional arguments, and replace fit_generator and the like by fit and the like."""
    for call in script.calls_in(script.source.tree):
        if not call.owners or call.names:
            continue  # no method, or one of the script's own
        if call.method == "compile":
            gone = any(argument(call.node, None, name) for name in (_EAGERLY, *_NOTHING))
            if len(call.node.args) > 2 or gone:
                with script.attempt(call.node):
                    _compile(script, call.node)
        elif call.method in _ORDERS:
            with script.attempt(call.node):
                _fit(script, call.node, call.method)
        elif call.method in ("fit", "evaluate", "predict"):
            if any(keyword.arg in (*_NAMES, *_FETCHING) for keyword in call.node.keywords):
                script.edits.change(call.node, _respelled)


def _compile(script: Script, call: ast.Call) -> None:
    _have_names(call, "compile", _COMPILE)
    gone = [_EAGERLY, *(k.arg for k in call.keywords if k.arg in _NOTHING and is_none(k.value))]

    def respelled(node: cst.BaseExpression) -> cst.BaseExpression:
        changed = _named(node, 2, _COMPILE)
        for name in gone:
            changed = without(changed, None, name)
        return changed

    script.edits.change(call, respelled)


def _have_names(call: ast.Call, method: str, order: Sequence[str]) -> None:
    """Make sure that each positional argument has a known name."""
    if any(isinstance(given, ast.Starred) for given in call.args):
        raise Unportable(call, f"the arguments of {method} cannot be told.")
    if len(call.args) > len(order):
        raise Unportable(call, f"the order of {method}'s arguments differs between versions.")


def _named(node: cst.BaseExpression, first: int, order: Sequence[str]) -> cst.Call:
    """A call whose arguments from a position on are named."""
    call = cst.ensure_type(node, cst.Call)
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return call.with_changes(
        args=[
            given.with_changes(keyword=cst.Name(order[place]), equal=equal)
            if given.keyword is None and not given.star and first <= place
            else given
            for place, given in enumerate(call.args)
        ]
    )


def _respelled(node: cst.BaseExpression) -> cst.Call:
    return renamed(without(cst.ensure_type(node, cst.Call), None, *_FETCHING), _NAMES)


def _fit(script: Script, call: ast.Call, method: str) -> None:
    """Respell a call of fit_generator, evaluate_generator or predict_generator."""
    order = _ORDERS[method]
    generator = argument(call, 0, "generator")
    words = [keyword.arg for keyword in call.keywords]
    if generator is None or None in words:
        raise Unportable(call, f"the arguments of {method} cannot be told.")
    _have_names(call, method, order)
    for word in words:
        if word in _IN_DATA:
            raise Unportable(call, f"{word} counts data, and Keras 3 counts batches.")
        if word in _KERAS_1 and len(call.args) > 1:
            raise Unportable(
                call,
                f"{word} is of Keras 1, where the second argument of {method} counts data; "
                "Keras 3 counts batches.",
            )
    for name, element in _yields(script, generator):
        if not isinstance(element, ast.Tuple) or len(element.elts) not in (1, 2):
            raise Unportable(
                call,
                f"{name} yields {script.code(element)}, but Keras 3 takes only tuples, (x,) or "
                "(x, y); yield those and use fit, evaluate or predict.",
            )
    script.edits.change(
        call.func,
        lambda node: node.with_changes(attr=cst.Name(method.removesuffix("_generator"))),
    )
    script.edits.change(call, lambda node: _respelled(_named(node, 1, order)))


def _yields(script: Script, generator: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What a generator of the script yields, and the generator's name."""
    made = script.made(generator)
    if isinstance(made, ast.GeneratorExp):
        yield script.code(made), made.elt
    if not isinstance(made, ast.Call):
        return
    function = function_of(script.program.value(made.func))
    for node in ast.walk(function.node) if function is not None else ():
        if isinstance(node, ast.Yield) and node.value is not None:
            yield script.code(made.func), script.made(node.value) or node.value
