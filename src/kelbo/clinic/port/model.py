"""The ported model: a class with a compute_loss, whose outputs are all that the loss needs."""

import ast
import textwrap
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import libcst as cst

from kelbo.beta import explain_beta, format_beta
from kelbo.clinic.doctor.expressions import Atom
from kelbo.clinic.doctor.objective import Term, balances, compiled_reconstruction, images, kl_terms
from kelbo.clinic.doctor.program import Call
from kelbo.clinic.doctor.values import (
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Known,
    Table,
    Tensor,
    Value,
    options,
)
from kelbo.clinic.doctor.words import dotted
from kelbo.clinic.port.edits import Code, Unportable, argument_node, code_of, indented, without
from kelbo.clinic.port.formula import (
    LAYERS,
    PENALTIES,
    Place,
    arguments_of_losses,
    formula,
    placed,
)
from kelbo.clinic.port.free import refuse_named_data, refuse_other_uses
from kelbo.clinic.port.layer_losses import added_by_layers, regularized
from kelbo.clinic.port.registered import REGISTERED, register
from kelbo.clinic.port.script import Script, argument, function_of, model_of, same

# The arguments of compute_loss.
RESERVED = {"self", "x", "y", "y_pred", "sample_weight", "kwargs"}
# None of them is read after the first lines, but for these, and y if there is a target.
_KEPT = {"self"}


class Model:
    """The model that a loss belongs to, and what its compute_loss needs.

    Args:
        script: the script.
        instance: the functional model.
        output: the expression of its reconstruction, if that is not the model's own output.
    """

    def __init__(self, script: Script, instance: Instance, output: ast.expr | None = None):
        made = instance.node
        if not isinstance(made, ast.Call) or not isinstance(instance.of, Known):
            raise Unportable(made or script.source.tree.body[0], "its class is the script's own.")
        entries = instance.inputs.items if isinstance(instance.inputs, Items) else None
        self.entries = entries or (instance.inputs,)
        if not all(isinstance(entry, Tensor) for entry in self.entries):
            raise Unportable(made, "its inputs cannot be told.")
        given = argument(made, 1, "outputs", "output")
        if isinstance(given, ast.List) and len(given.elts) == 1:
            output = output or given.elts[0]
        output = output or given
        if given is None or output is None:
            raise Unportable(made, "its outputs cannot be told.")
        value = alone(script.program.value(output))
        if isinstance(value, Items | Table):
            raise Unportable(made, "it has more than one output, each with a loss of its own.")
        if not isinstance(value, Tensor):
            raise Unportable(made, "its output cannot be told.")
        self.script, self.instance, self.made = script, instance, made
        self.given, self.output, self.value = given, output, value
        self.name = output.id if isinstance(output, ast.Name) else ""
        self.inputs: dict[str, int] = {}
        self.others: dict[str, str] = {}
        self.handed: dict[str, Value] = {}
        self.trackers: list[tuple[str, str]] = []
        self.layers_add = False
        self.target = "y"
        self.draws, self.seed = False, ""
        self.keeps_loss = False
        self.stored = ""
        self.measured: list[str] = []
        self.measured_in_file = True
        self.methods: list[Code] = []
        self._register_metrics()

    @property
    def compilations(self) -> list[Call]:
        """The calls that compile it."""
        return [
            call
            for call in self.script.calls_in(self.script.source.tree)
            if call.method == "compile" and self.instance in call.owners
        ]

    @property
    def is_compiled_here(self) -> bool:
        """Whether the script compiles it, with all arguments in sight."""
        return bool(self.compilations) and not any(c.arguments.more for c in self.compilations)

    @property
    def _compiled_by_name(self) -> list[Term] | None:
        """The reconstruction losses that compile is given by name; None if it has other ones."""
        shape = self.value.shape or images(self.script.program)
        found = []
        for call in self.compilations:
            loss = call.arguments.get(1, "loss")
            for option in options(alone(loss)):
                term = compiled_reconstruction(option, shape)
                found += [term] if term is not None else []
                written = isinstance(option, Function) or isinstance(
                    getattr(option, "of", None), Class
                )
                if term is None and not written and option != Constant(None):
                    return None
        return found

    def _register_metrics(self) -> None:
        """Register the functions of metrics=, since a saved model names them, too."""
        for call in self.compilations:
            listed = argument(call.node, 2, "metrics")
            for given in listed.elts if isinstance(listed, ast.List | ast.Tuple) else ():
                function = function_of(self.script.program.value(given))
                if function is not None and not register(self.script, function, given):
                    self.measured_in_file = False

    def sort(self) -> None:
        """Put what is handed over into the order in which the script first names it."""
        first: dict[str, tuple[int, int]] = {}
        for node in ast.walk(self.script.source.tree):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                place = node.lineno, node.col_offset
                name = node.id if isinstance(node, ast.Name) else node.attr
                first[name] = min(place, first.get(name, place))
        last = (len(self.script.source.text), 0)
        self.others = dict(sorted(self.others.items(), key=lambda o: first.get(o[0], last)))

    def hand_over(self, node: ast.expr, value: Value) -> str:
        """The name of a tensor in compute_loss; the model hands the tensor over if need be."""
        name = node.id if isinstance(node, ast.Name) else dotted(node).replace(".", "_")
        name = name.removeprefix("self_")
        value = alone(value) or value
        for place, entry in enumerate(self.entries):
            if same(value, entry):
                self.inputs.setdefault(name, place)
                return name
        if same(value, self.value):
            self.name = self.name or name
            if name != self.name:
                raise Unportable(node, f"the reconstruction is {self.name} and {name}.")
            return name
        if name not in self.others:
            self.others[name] = self._source(node, value)
            self.handed[name] = value
        return name

    def _source(self, node: ast.expr, value: Value | None) -> str:
        """The name of a tensor at the place where the model is made."""
        if (inner := self._of_inner_model(value)) is not None:
            return inner
        self._open_inner_model()
        names = [dotted(node)]
        if isinstance(value, Tensor):
            names += self.script.program.names_of(value)
        for name in names:
            if name and self._is_there(name.partition(".")[0]):
                return name
        raise Unportable(node, f"{dotted(node)} is not known where the model is made.")

    def _of_inner_model(self, value: Value | None) -> str | None:
        """A tensor as an output of a model that this one calls, such as `encoder(x)[0]`.

        Its layers then belong to that model alone. A layer in two models comes back from a file as
        two layers, and Keras refuses it.
        """
        for call in self.script.program.calls:
            encoder, given = model_of(call.function), alone(call.arguments.get(0, "inputs"))
            if encoder is None or not isinstance(encoder.outputs, Items):
                continue
            here = call.node.lineno <= self.made.lineno and self.script.function_around(
                call.node
            ) is self.script.function_around(self.made)
            if here and self.is_input(given):
                for place, output in enumerate(encoder.outputs.items):
                    if same(output, value):
                        return f"{self.script.code(call.node)}[{place}]"
        return None

    def _open_inner_model(self) -> None:
        """Replace `encoder(x)` by the z that it is, if the encoder begins with this x.

        What is handed over comes from the encoder's layers, which would be in two models otherwise.
        """
        for call in self.script.program.calls:
            encoder, given = model_of(call.function), alone(call.arguments.get(0, "inputs"))
            code = encoder is not None and self._code_of(encoder.outputs, call.node)
            if encoder is None or encoder is self.instance or not code:
                continue
            if self.is_input(given) and self.is_input(alone(encoder.inputs)):
                self.script.edits.respell(call.node, code)

    def _code_of(self, value: Value | None, node: ast.Call) -> str:
        """The name of a tensor at the place of a call; empty if none there is certain to be it."""
        script = self.script
        names = script.program.names_of(value) if isinstance(value, Tensor) else []
        bound: dict[str, ast.expr] = {}
        for statement in ast.walk(script.source.tree):
            if not isinstance(statement, ast.Assign) or statement.lineno > node.lineno:
                continue
            for target in statement.targets:
                code = dotted(target)
                here = script.function_around(target) in (script.function_around(node), None)
                own = code.startswith("self.") and self._is_there("self")
                if code.rpartition(".")[2] in names and (own or here):
                    bound[code] = statement.value
        given = {code: script.program.value(made) for code, made in bound.items()}
        return next((code for code, made in given.items() if same(alone(made), value)), "")

    def is_input(self, value: Value | None) -> bool:
        """Whether a value is what the model takes as inputs, in the same order."""
        given = value.items if isinstance(value, Items) else (value,)
        pairs = zip(given, self.entries, strict=False)
        return len(given) == len(self.entries) and all(same(*pair) for pair in pairs)

    def _is_there(self, name: str) -> bool:
        scopes = {self.script.function_around(self.made), None}
        scopes |= {f for f in self.script.above(self.made) if isinstance(f, ast.FunctionDef)}
        for node in ast.walk(self.script.source.tree):
            if isinstance(node, ast.arg):
                found = node.arg == name
            else:
                found = (
                    isinstance(node, ast.Name)
                    and isinstance(node.ctx, ast.Store)
                    and node.id == name
                    and node.lineno < self.made.lineno
                )
            if found and self.script.function_around(node) in scopes:
                return True
        return False

    def rename(self) -> None:
        """Rename the reconstruction if an argument of compute_loss has its name."""
        if self.name in RESERVED:
            self.name = self.script.free_name("reconstruction", "reconstructed")

    def settle_name(self, name: str = "") -> None:
        """Name the reconstruction: as given if that is free, else by its old name or a new one."""
        if name and name not in RESERVED:
            self.name = name
        self.name = self.name or self.script.free_name("reconstruction", "reconstructed")

    def write(
        self,
        lines: Sequence[Code],
        place: ast.stmt,
        only_here: bool,
        target: bool,
        losses: Sequence[Value | None],
        before: Sequence[str] = (),
    ) -> None:
        """Plan the class and the call that makes the model.

        Args:
            lines: the lines of compute_loss after its first ones.
            place: the statement that the class stands before.
            only_here: whether the lines use names of the function around it.
            target: whether the lines read y.
            losses: the losses that the lines compute, as the doctor reads them.
            before: the lines above the class.
        """
        script = self.script
        refuse_other_uses(script, self.instance, bool(self.others))
        if len(self.entries) > 1 and self.inputs:
            refuse_named_data(script, self.instance)
        again = [code.rpartition("[")[0] for code in self.others.values() if "(" in code]
        if again and self.layers_add:
            raise Unportable(
                self.made,
                f"mu and log_var would come from a second {again[0]}, and what its layers add to "
                "the loss counts once on JAX and twice elsewhere.",
            )
        self.reads_target = target
        name = script.free_name("VAE", "VAEModel")
        script.bound.add(name)
        self.settle_name()
        self.sort()
        kept = _KEPT | {"y"} if target and self.target == "y" else _KEPT
        if clash := kept & {self.name, *self.others, *self.inputs}:
            raise Unportable(
                self.made, f"{min(clash)} has the name of an argument of compute_loss."
            )

        def outputs(node: cst.BaseExpression) -> cst.BaseExpression:
            made = cst.ensure_type(node, cst.Call).with_changes(func=cst.Name(name))
            code = code_of(argument_node(made, 1, "outputs").value)
            if self.output is not self.given:
                code = script.code(self.output)
            # To Keras a list of one output is that output.
            code = f"[{', '.join([code, *self._sources])}]" if self.others else code
            listed = cst.parse_expression(code)
            found = argument_node(made, 1, "outputs")
            return made.with_deep_changes(found, value=listed)

        script.edits.change(self.made, outputs)
        compiled = self._compiled_by_name if self.is_compiled_here else None
        script.formulas.append(
            formula(
                script.program,
                losses,
                compiled,
                self._places,
                added=LAYERS if self.layers_add else PENALTIES,
            )
            if compiled is not None
            else None
        )
        where = place if only_here else script.top(place)
        above = "".join(f"{line}\n" for line in before)
        script.edits.insert(where, lambda: f"{above}{self._class(name, lines)}")

    @property
    def _places(self) -> dict[Atom, Place]:
        """Where the ported model finds the tensors of the loss."""
        several = len(self.entries) > 1
        found: dict[Atom, Place] = {}
        for number, entry in enumerate(self.entries):
            found |= placed(entry, ("x", number) if several else ("x",))
        handed = [self.value, *(self.handed[name] for name in self.others)]
        for number, value in enumerate(handed):
            found |= placed(value, ("output", number))
        return found | arguments_of_losses(self.script.program, [c.node for c in self.compilations])

    @property
    def _sources(self) -> list[str]:
        """What is handed over; `encoder(x)[0], encoder(x)[1]` become one call."""
        sources = list(self.others.values())
        call = sources[0].removesuffix("[0]") if sources else ""
        if len(sources) > 1 and sources == [f"{call}[{n}]" for n in range(len(sources))]:
            return [f"*{call}[:{len(sources)}]"]
        return sources

    def _class(self, name: str, lines: Sequence[Code]) -> str:
        parts = ['"""A VAE whose outputs are all that its loss needs."""\n']
        made = [
            f'self.{attribute} = keras.metrics.Mean(name="{text}")\n'
            for attribute, text in self.trackers
        ]
        if self.draws:
            made.append(f"self.seed_generator = keras.random.SeedGenerator({self.seed})\n")
        if made:
            parts.append(
                "def __init__(self, inputs, outputs, name=None, **kwargs):\n"
                + indented("super().__init__(inputs, outputs, name=name, **kwargs)\n")
                + indented("".join(made))
            )
        parts += self._compile
        parts += [method().strip("\n") + "\n" for method in self.methods]
        first = [f"# {line}\n" for line in _weight_in_words(self.script)]
        first += ["# In 32 bits, whatever precision the layers compute in.\n"]
        cast = f'{self.script.ops}.cast(output, "float32")'
        if not self.others:
            cast = f'{self.script.ops}.cast(y_pred, "float32")'
        elif any(isinstance(value, Items) for value in self.handed.values()):
            cast = f"keras.tree.map_structure(\n    lambda output: {cast}, y_pred\n)"
        else:
            cast = f"[{cast} for output in y_pred]"
        first += [f"{', '.join([self.name, *self.others])} = {cast}\n"]
        taken = [f"{self.target} = y\n"] * (self.target != "y")
        shape = self.value.shape
        if self.reads_target and shape is not None and len(shape) == 2 and shape[-1] == 1:
            # Keras 2 made (batch, 1) of a target of shape (batch,).
            taken = [f"y = {self.script.ops}.reshape(y, (-1, 1))\n", *taken]
        first = [*taken, *self._unpacked, *first]
        computed = "".join(line().strip("\n") + "\n" for line in lines)
        # Weights may come with any data: from a generator, a tuple, another file.
        guard = "" if "sample_weight" in computed else _GUARD
        body = guard + "".join(first) + computed
        parts.append(
            "def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):\n"
            + indented(body)
        )
        if self._has_metrics and self.others:
            parts.append(
                "def compute_metrics(self, x, y, y_pred, sample_weight=None):\n"
                + indented("# The metrics of the reconstruction alone, as before.\n")
                + indented("return super().compute_metrics(x, y, y_pred[0], sample_weight)\n")
            )
        if self.others:
            parts.append(
                "def predict(self, *args, **kwargs):\n"
                + indented("# The reconstruction alone, as before.\n")
                + indented("return super().predict(*args, **kwargs)[0]\n")
            )
        return f"{REGISTERED}class {name}(keras.Model):\n" + indented("\n".join(parts))

    @property
    def _unpacked(self) -> list[str]:
        """The lines that give the data the names of the model's inputs."""
        if len(self.entries) == 1 or not self.inputs:
            return [f"{alias} = x\n" for alias in self.inputs if alias != "x"]
        names = {place: name for name, place in reversed(self.inputs.items())}
        listed = ", ".join(names.get(place, "_") for place in range(len(self.entries)))
        others = [f"{name} = {names[p]}\n" for name, p in self.inputs.items() if name != names[p]]
        return [f"{listed} = x\n", *others]

    @property
    def _compile(self) -> list[str]:
        """The methods that store the loss and the metrics, which Keras would call without mu."""
        metrics = "metrics=None, " if self.measured else ""
        if not self.stored and not metrics:
            return []
        loss = "" if self.stored else "loss=loss, "
        lines = [f"super().compile(optimizer=optimizer, {loss}**kwargs)\n"]
        lines += [f"self.{self.stored} = loss\n"] * bool(self.stored)
        lines += ["self.vae_metrics = metrics\n"] * bool(metrics)
        made = [
            f'def compile(self, optimizer="rmsprop", loss=None, {metrics}**kwargs):\n'
            + indented("".join(lines))
        ]
        return made if self.stored or not self.measured_in_file else [*made, _COMPILED]

    @property
    def _has_metrics(self) -> bool:
        if not self.compilations:
            return True  # compile may be called in another file
        return not self.measured and any(
            call.arguments.get(2, "metrics") is not None for call in self.compilations
        )

    def compile_with(self, function: Function, given: ast.expr, stored: str) -> str:
        """The code with which compute_loss calls a function that compile is given as the loss.

        Args:
            function: the function.
            given: the expression that compile is given.
            stored: the attribute that keeps a function which no file can name.
        """
        self.keeps_loss = True
        if register(self.script, function, given):
            return "self.loss"
        self.stored = stored
        return f"self.{stored}"

    def compile_without_loss(self) -> None:
        """Take the loss out of the calls of compile."""
        for call in self.compilations:
            if argument(call.node, 1, "loss") is not None:
                self.script.edits.change(
                    call.node, lambda node: without(cst.ensure_type(node, cst.Call), 1, "loss")
                )

    def added(self, moved: AbstractSet[ast.AST] = frozenset()) -> str:
        """The code that adds what layers add to the loss by themselves; empty if none do.

        Args:
            moved: the calls of add_loss that become lines of compute_loss.
        """
        self.layers_add = added_by_layers(self.script, moved)
        some = self.layers_add or regularized(self.script)
        return " + sum(self.losses)" * some


_GUARD = """\
if sample_weight is not None:
    raise ValueError("This loss takes no sample weights.")
"""

_COMPILED = """\
def get_compile_config(self):
    metrics = keras.saving.serialize_keras_object(self.vae_metrics)
    return {**super().get_compile_config(), "metrics": metrics}

def compile_from_config(self, config):
    self.compile(**keras.saving.deserialize_keras_object(config))
    self.optimizer.build(self.trainable_variables)
"""


def alone(value: Value | None) -> Value | None:
    """The element of a list of one; any other value as it is."""
    return value.items[0] if isinstance(value, Items) and len(value.items) == 1 else value


def _weight_in_words(script: Script) -> list[str]:
    """The effective beta, as the lines of a comment."""
    if not kl_terms(script.program):
        return ["The parts of the loss have the weights that they had before."]
    betas = {balance.beta for balance in balances(script.program)}
    if len(betas) != 1:
        return ["The reconstruction and the KL term have the weights that they had before."]
    (beta,) = betas
    meaning = explain_beta(beta).partition(":")[0]
    said = f"The effective beta is {format_beta(beta)}, as before{': ' * bool(meaning)}{meaning}."
    return textwrap.wrap(said, 78)
