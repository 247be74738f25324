"""Noise that a loss draws itself, such as a sample of the prior: the model owns its state."""

import ast
from collections.abc import Iterable

from kelbo.clinic.port.edits import Unportable
from kelbo.clinic.port.model import Model
from kelbo.clinic.port.passing import add_argument, add_parameters
from kelbo.clinic.port.sampling import draw_from_generator, noise_in
from kelbo.clinic.port.script import Script, function_of


def seed_losses(script: Script, model: Model, lines: Iterable[ast.AST]) -> None:
    """Make the lines of a loss, and the functions they call, draw from a generator of the model.

    Args:
        script: the script.
        model: the model, which then has a seed_generator.
        lines: the statements and expressions that move into compute_loss.

    Raises:
        Unportable: a function that draws noise is called elsewhere, too.
    """
    inside = {node for line in lines for node in ast.walk(line)}
    drawn = noise_in(script, script.source.tree)
    functions = _functions_that_draw(script, inside, {noise.node for noise in drawn})
    within = {node for function in functions for node in ast.walk(function)}
    for noise in drawn:
        if noise.node in inside or noise.node in within:
            own = noise.node in inside
            generator = "self.seed_generator" if own else "seed_generator"
            model.seed = draw_from_generator(script, noise, generator, dtype="")
            model.draws = True
    for function in functions:
        add_parameters(script, function, ["seed_generator"])
    for call in script.calls_in(script.source.tree):
        called = function_of(call.function)
        if called is None or called.node not in functions:
            continue
        if call.node in inside:
            add_argument(script, call.node, "seed_generator=self.seed_generator")
        elif call.node in within:
            add_argument(script, call.node, "seed_generator=seed_generator")
        else:
            raise Unportable(
                call.node, f"{called.name} draws noise of the loss, and is called elsewhere, too."
            )


def _functions_that_draw(script: Script, inside: set[ast.AST], drawn: set[ast.AST]) -> set[ast.AST]:
    """The functions that lines call, directly or not, and that draw noise, directly or not."""
    calls = [(call, function_of(call.function)) for call in script.program.calls]
    reached: set[ast.AST] = set()
    todo = [called for call, called in calls if call.node in inside]
    while todo:
        function = todo.pop()
        if function is None or function.node in reached:
            continue
        reached.add(function.node)
        here = set(ast.walk(function.node))
        todo += [called for call, called in calls if call.node in here]
    drawing = {one for one in reached if drawn & set(ast.walk(one))}
    grown = True
    while grown:
        more = {
            around
            for call, called in calls
            if called is not None and called.node in drawing
            for around in (script.function_around(call.node),)
            if around in reached
        }
        grown = not more <= drawing
        drawing |= more
    return drawing
