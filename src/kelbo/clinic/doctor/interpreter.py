"""Follows a script without running it: what each name is, and what runs in the training step.

It passes once over the statements, in their order. Calls of the script's own functions are followed
with their arguments, each function a few times at most, so the work grows with the size of the
script and not with what it would compute. What the script defines and does not use is then used as
another file would use it. Nothing here raises, whatever the script says.
"""

import ast
import builtins
import itertools
import operator
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from kelbo.clinic.doctor import callers, expressions, library, strings
from kelbo.clinic.doctor.expressions import Noise
from kelbo.clinic.doctor.pixels import pixel_range, pixels
from kelbo.clinic.doctor.program import LEGACY, Call, Program, Reading, SymbolicRead
from kelbo.clinic.doctor.tensors import Tensors
from kelbo.clinic.doctor.values import (
    UNKNOWN,
    VERSION,
    Arguments,
    Attribute,
    Choice,
    Class,
    Constant,
    Frame,
    Function,
    Instance,
    Items,
    Known,
    Step,
    Super,
    Table,
    Tensor,
    Unknown,
    Value,
    Version,
    bounded,
    is_layer_name,
    is_model_name,
    is_same,
    is_symbolic,
    join,
    options,
    truth,
)
from kelbo.clinic.doctor.words import dotted

# How often a function is followed, how deep calls and syntax may be nested, and how often a loop
# over layers is followed.
_MOST_RUNS = 3
_MOST_CALLS = 12
_MOST_TURNS = 16
_MOST_NESTING = 100

# The statements that end a function or a turn of a loop, and the expressions that make tensors.
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_COMPUTES = (ast.BinOp, ast.Call)

# The methods that Keras calls in a training step.
_STEPS = ("call", "train_step", "test_step", "compute_loss", "compute_metrics")

# The first arguments of a functional model.
_ENDS_OF_A_MODEL = ["inputs", "outputs"]

# What may be asked of a symbolic tensor anywhere: it is known when the model is built.
_STATIC = ("shape", "dtype", "name", "ndim", "rank", "get_shape", "_keras_shape", "set_shape")
_STATIC_CALLS = (
    "keras.backend.int_shape",
    "keras.backend.ndim",
    "keras.backend.dtype",
    ".assert_same_structure",
    ".map_structure",
)

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


def read(tree: ast.Module) -> Program:
    """Follow a script.

    Args:
        tree: its syntax.
    """
    interpreter = _Interpreter(tree)
    interpreter.run()
    return interpreter.program


class _Interpreter:
    def __init__(self, tree: ast.Module):
        self.program = Program(tree)
        self.module = Frame()
        self.frame = self.module
        self.step: Step | None = None
        self.followed: list[ast.AST] = []
        self.guards = 0
        self.nesting = 0
        self.quiet = 0
        self.runs: Counter[ast.AST] = Counter()
        self.returned: dict[ast.AST, Value] = {}
        self.forms: dict[ast.AST, set[int]] = {}
        self.instances: dict[Class, Instance] = {}
        self.built: set[Instance] = set()
        # The objects that only the callers of the script have.
        self.left: list[callers.Made] = []
        # Whether the script compiles a model itself: a loss that it does not use is not one then.
        self.compiles = False
        self.tensors = Tensors()

    def run(self) -> None:
        self.execute_all(self.program.tree.body)
        self.use_what_is_left()

    # What the script defines and does not use

    def use_what_is_left(self) -> None:
        """Use the classes and functions that nothing used yet, as another file would."""
        self.compiles = any(call.method == "compile" for call in self.program.calls)
        bases = {base for made in self.program.classes for base in made.ancestry[1:]}
        # A base is used by what inherits from it. The lists may grow meanwhile.
        for made in self.program.classes:
            if made not in bases:
                self.use_class(made)
        for made in self.program.classes:
            self.use_class(made)
        # Those that take an object come after those that may make it.
        takers = []
        for function in self.program.functions:
            if not self.runs[function.node] and callers.asked(function):
                takers.append(function)
            else:
                self.use(function)
        for function in takers:
            self.use(function)

    def use_class(self, made: Class) -> None:
        """Make an object of a class and call those of its methods that nothing called yet."""
        self.follow_hooks(made)
        waiting = [method for method in made.methods if not self.runs[method.node]]
        if not waiting:
            return
        instance = self.instances.get(made) or self.instantiate(made, Arguments(), None)
        self.left.append(callers.Made(instance, frozenset({made.name.lower()})))
        for method in callers.in_order(waiting, instance):
            self.use(self.bound(method, instance))

    def use(self, function: Function) -> None:
        """Call a function that nothing called yet."""
        if self.runs[function.node]:
            return
        if not self.compiles and callers.is_loss(function):
            target, output = self.tensors.fresh(None), self.tensors.fresh(None)
            self.run_step("loss", function, Arguments((target, output)), None)
            return
        step = Step("tf.function", function) if _is_tf_function(function) else None
        given = callers.objects(function, self.left, self.program)
        result = self.follow(function, Arguments(keywords=tuple(given.items())), step)
        self.left += callers.models(function, result, self.program)

    # Statements

    def execute_all(self, statements: list[ast.stmt]) -> bool:
        """Follow statements; False if they end the function or the turn of a loop."""
        for statement in statements:
            self.execute(statement)
            if isinstance(statement, _ENDS):
                return False
        return True

    def execute(self, node: ast.stmt) -> None:
        if self.nesting >= _MOST_NESTING:
            return
        self.program.visits += 1
        self.nesting += 1
        handler = getattr(self, f"execute_{type(node).__name__}", None)
        if handler is not None:
            handler(node)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.evaluate(child)
                elif isinstance(child, ast.stmt):
                    self.execute(child)
        self.nesting -= 1

    def execute_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            first = alias.name.partition(".")[0]
            spelled = alias.name if alias.asname else first
            self.frame.bind(alias.asname or first, _known(spelled))
            self.note(node, _known(alias.name))

    def execute_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name
            if node.level or node.module is None:
                self.frame.bind(name, UNKNOWN)
            elif alias.name == "*":
                self.frame.stars.append(node.module)
            else:
                value = _known(f"{node.module}.{alias.name}")
                self.frame.bind(name, value)
                self.note(node, value)

    def execute_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        function = self.define(node)
        self.frame.bind(node.name, function)

    execute_AsyncFunctionDef = execute_FunctionDef

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Function:
        decorators = getattr(node, "decorator_list", [])
        defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        for default in defaults:
            self.evaluate(default)
        made = tuple(self.evaluate(decorator) for decorator in decorators)
        function = Function(node, self.frame, decorators=made)
        self.program.functions.append(function)
        return function

    def execute_ClassDef(self, node: ast.ClassDef) -> None:
        bases = tuple(self.evaluate(base) for base in node.bases)
        for keyword in node.keywords:
            self.evaluate(keyword.value)
        decorators = tuple(self.evaluate(decorator) for decorator in node.decorator_list)
        outer = self.frame
        self.frame = Frame(outer, outer.step)
        self.execute_all(node.body)
        body = self.frame.layers[-1]
        inner, self.frame = self.frame, outer
        made = Class(node, outer, bases, body, decorators)
        # The names of a class's body are not those of its methods.
        for value in body.values():
            if isinstance(value, Function) and value.frame is inner:
                value.frame, value.home = outer, made
        self.program.classes.append(made)
        outer.bind(node.name, made)

    def execute_Return(self, node: ast.Return) -> None:
        value = self.evaluate(node.value) if node.value else Constant(None)
        if not self.frame.over:
            self.frame.returns.append(value)

    def execute_Assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.bind(target, value)

    def execute_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, self.evaluate(node.value))

    def execute_AugAssign(self, node: ast.AugAssign) -> None:
        left = self.evaluate(node.target)
        value = self.binary(node.op, left, self.evaluate(node.value))
        self.bind(node.target, value)

    def execute_Global(self, node: ast.Global) -> None:
        self.frame.elsewhere.update(dict.fromkeys(node.names, self.module))
        if self.frame is self.module:
            self.frame.elsewhere.clear()

    def execute_Nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            owner = self.frame.parent
            while owner is not None and owner.find(name) is None:
                owner = owner.parent
            if owner is not None:
                self.frame.elsewhere[name] = owner

    def execute_If(self, node: ast.If) -> None:
        test = self.evaluate(node.test)
        with self.guarded(isinstance(test, Version)):
            self.branches([[node.body], [node.orelse]], self.decided(node.test, test))

    def execute_Try(self, node: ast.Try) -> None:
        for handler in node.handlers:
            if handler.type is not None:
                self.evaluate(handler.type)
            if handler.name is not None:
                self.frame.bind(handler.name, UNKNOWN)
        arms = [[node.body, node.orelse], *([handler.body] for handler in node.handlers)]
        with self.guarded(any(_catches_absence(handler) for handler in node.handlers)):
            self.branches(arms)
        self.execute_all(node.finalbody)

    execute_TryStar = execute_Try

    def execute_For(self, node: ast.For | ast.AsyncFor) -> None:
        items = self.evaluate(node.iter)
        turns = [join(list(items.items)) if isinstance(items, Items) else UNKNOWN]
        alone = len(node.body) == 1 and not self.frame.loops
        if isinstance(items, Items) and alone and _are_layers(items):
            # Each turn calls another layer.
            turns = list(items.items)
        with self.looping():
            for element in turns:
                self.bind(node.target, element)
                self.execute_all(node.body)
        self.execute_all(node.orelse)

    execute_AsyncFor = execute_For

    def execute_While(self, node: ast.While) -> None:
        self.evaluate(node.test)
        with self.looping():
            self.execute_all(node.body)
        self.execute_all(node.orelse)

    @contextmanager
    def looping(self) -> Iterator[None]:
        """Within a loop: what is known of the first turn may not hold in others."""
        self.frame.loops += 1
        yield
        self.frame.loops -= 1

    def execute_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self.evaluate(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value)
        self.execute_all(node.body)

    execute_AsyncWith = execute_With

    def execute_Match(self, node: ast.Match) -> None:
        self.evaluate(node.subject)
        for case in node.cases:
            for pattern in ast.walk(case.pattern):
                name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
                if isinstance(name, str):
                    self.frame.bind(name, UNKNOWN)
        self.branches([[case.body] for case in node.cases] + [[]])

    def execute_Delete(self, node: ast.Delete) -> None:
        """Deleting a name reads nothing."""

    def branches(self, arms: list[list[list[ast.stmt]]], taken: bool | None = None) -> None:
        """Follow alternative branches and join what they bind.

        Args:
            arms: the statements of each.
            taken: whether the first is taken, or the second; None if that is not known. What is
                not taken is followed too, but nothing that it binds or returns counts.
        """
        outcomes = []
        over = self.frame.over
        counted = [taken is None or taken == (place == 0) for place in range(len(arms))]
        # The attributes that the branch taken sets replace those of the others.
        for counts, arm in sorted(zip(counted, arms, strict=True), key=lambda one: one[0]):
            self.frame.layers.append({})
            self.frame.over = over or not counts
            goes_on = all([self.execute_all(body) for body in arm])
            bound = self.frame.layers.pop()
            if goes_on and counts:
                outcomes.append(bound)
        self.frame.over = over or taken is not None and not outcomes
        for name in dict.fromkeys(name for bound in outcomes for name in bound):
            before = self.frame.find(name)
            values = [bound.get(name, before) for bound in outcomes]
            given = [value for value in values if value is not None]
            self.frame.layers[-1][name] = self.tensors.either(given)

    def decided(self, test: ast.expr, value: Value) -> bool | None:
        """Whether a condition holds, if it is certain to be what it is here."""
        names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
        attributes = any(isinstance(node, ast.Attribute) for node in ast.walk(test))
        if self.frame.function is None or self.frame.loops or attributes:
            return None
        own = all(self.lookup(name)[1] in (self.frame, None) for name in names)
        return truth(value) if own else None

    @contextmanager
    def guarded(self, guarded: bool) -> Iterator[None]:
        self.guards += guarded
        yield
        self.guards -= guarded

    # Names

    def bind(self, target: ast.expr, value: Value) -> None:
        if isinstance(value, Unknown):
            # All uses of the name share one unknown tensor.
            value = self.tensors.fresh(None)
        if isinstance(target, ast.Name):
            self.name(value, target.id)
            self.frame.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            count = len(target.elts)
            starred = any(isinstance(element, ast.Starred) for element in target.elts)
            parts = [UNKNOWN] * count if starred else self.unpack(value, count)
            for element, part in zip(target.elts, parts, strict=True):
                self.bind(element, part)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, UNKNOWN)
        elif isinstance(target, ast.Attribute):
            owner = self.evaluate(target.value)
            own = isinstance(owner, Instance) and isinstance(owner.of, Class)
            self.program.changes_activations |= target.attr == "activation" and not own
            if isinstance(owner, Instance):
                self.name(value, target.attr)
                before = owner.attributes.get(target.attr)
                if before is not None and len(self.frame.layers) > 1:
                    # A flag that one branch sets may still be what it was.
                    value = join([before, value]) if isinstance(value, Constant) else value
                owner.attributes[target.attr] = value
        elif isinstance(target, ast.Subscript):
            changed = self.evaluate(target.value)
            self.evaluate(target.slice)
            if pixel_range(changed) is not None:
                self.bind(target.value, UNKNOWN)

    def name(self, value: Value, name: str) -> None:
        """Record what the script calls a tensor."""
        if isinstance(value, Tensor) and value.opaque is not None:
            names = self.program.names.setdefault(value.opaque, [])
            if name not in names and len(names) < 4:
                names.append(name)

    def unpack(self, value: Value, count: int) -> list[Value]:
        if isinstance(value, Items) and len(value.items) == count:
            return list(value.items)
        if isinstance(value, Choice):
            fits = [self.unpack(o, count) for o in value.options if not isinstance(o, Unknown)]
            return [join(list(parts)) for parts in zip(*fits, strict=True)] or [UNKNOWN] * count
        if isinstance(value, Tensor) and value.opaque is not None:
            return [self.tensors.part(value, place) for place in range(count)]
        return [UNKNOWN] * count

    def lookup(self, name: str) -> tuple[Value | None, Frame | None]:
        frame: Frame | None = self.frame
        while frame is not None:
            value = frame.find(name)
            if value is not None:
                return value, frame
            frame = frame.parent
        return None, None

    def note(self, node: ast.expr | ast.stmt, value: Value) -> None:
        self.program.readings.append(Reading(node, value, bool(self.guards)))

    # Expressions

    def evaluate(self, node: ast.expr) -> Value:
        if self.nesting >= _MOST_NESTING:
            return UNKNOWN
        self.program.visits += 1
        self.nesting += 1
        handler = getattr(self, f"evaluate_{type(node).__name__}", self.evaluate_others)
        value = handler(node)
        self.nesting -= 1
        self.program.values[node] = value
        if isinstance(value, Tensor) and isinstance(node, _COMPUTES):
            self.program.origins.setdefault(id(value), (value, node))
        return value

    def evaluate_others(self, node: ast.expr) -> Value:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child)
        return UNKNOWN

    def evaluate_JoinedStr(self, node: ast.JoinedStr) -> Value:
        parts: list[Value] = []
        for part in node.values:
            plain = isinstance(part, ast.Constant) or not part.format_spec  # type: ignore
            value = self.evaluate(part)
            parts.append(value if plain else UNKNOWN)
        return strings.added(parts)

    def evaluate_FormattedValue(self, node: ast.FormattedValue) -> Value:
        value = self.evaluate(node.value)
        if node.format_spec is not None:
            self.evaluate(node.format_spec)
        return strings.written(value) if node.conversion == -1 else UNKNOWN

    def evaluate_Constant(self, node: ast.Constant) -> Value:
        if node.value == LEGACY:
            self.program.names_legacy = True
        return Constant(node.value)

    def evaluate_Name(self, node: ast.Name) -> Value:
        value, frame = self.lookup(node.id)
        if value is None:
            value = self.star(node.id)
        outside = frame is not None and frame.step is not self.step
        if self.step is not None and outside and is_symbolic(value):
            self.read_outside(node, node.id)
        if isinstance(value, Known):
            self.note(node, value)
        return value

    def star(self, name: str) -> Value:
        """A name that the script does not bind: a builtin, or one from a star import."""
        if hasattr(builtins, name):
            return _known(f"builtins.{name}")
        modules = self.module.stars
        if name[:1].isupper():
            modules = [m for m in modules if m.endswith(library.home(name))] or modules
        return _known(f"{modules[0]}.{name}") if len(modules) == 1 else UNKNOWN

    def read_outside(self, node: ast.expr, name: str) -> None:
        if self.step is not None and not self.quiet:
            where = self.followed[-1] if self.followed else self.step.function.node
            self.program.symbolic_reads.append(SymbolicRead(node, name, self.step, where))

    def evaluate_Attribute(self, node: ast.Attribute) -> Value:
        static = node.attr in _STATIC
        self.quiet += static
        owner = self.evaluate(node.value)
        self.quiet -= static
        value = join([self.attribute(option, node.attr) for option in options(owner)])
        if self.step is not None and not static and is_symbolic(value) and not is_symbolic(owner):
            self.read_outside(node, dotted(node))
        if any(isinstance(option, Known) for option in options(value)):
            self.note(node, value)
        return value

    def attribute(self, owner: Value, name: str) -> Value:
        if isinstance(owner, Known):
            if name == "__version__":
                return VERSION
            return _known(f"{owner.spelled}.{name}") if len(owner.spelled) < 200 else UNKNOWN
        if isinstance(owner, Version):
            return owner
        if isinstance(owner, Tensor) and name in ("shape", "_keras_shape") and owner.shape:
            return Items(tuple(Constant(n) if isinstance(n, int) else UNKNOWN for n in owner.shape))
        if isinstance(owner, Instance):
            return self.attribute_of_instance(owner, name)
        if isinstance(owner, Super):
            return self.attribute_of_super(owner, name)
        if isinstance(owner, Class):
            found = owner.find(name)
            if isinstance(found, Function) and found.is_a("builtins.classmethod"):
                return replace(found, owner=owner)
            return found or Attribute(owner, name)
        return Attribute(UNKNOWN if isinstance(owner, Attribute) else owner, name)

    def attribute_of_instance(self, owner: Instance, name: str) -> Value:
        if name in owner.attributes:
            return owner.attributes[name]
        if isinstance(owner.of, Class):
            found = owner.of.find(name)
            if isinstance(found, Function):
                return self.method(found, owner)
            if found is not None:
                return found
        if owner.is_layer and name in ("input", "output", "inputs", "outputs"):
            ends = owner.inputs if name.startswith("input") else owner.outputs
            if ends is None:
                graph = isinstance(owner.of, Known) and name in ("input", "output")
                return self.tensors.fresh(None, symbolic=True) if graph else Attribute(owner, name)
            if name in ("inputs", "outputs") and not isinstance(ends, Items):
                return Items((ends,))
            return ends
        return Attribute(owner, name)

    def attribute_of_super(self, owner: Super, name: str) -> Value:
        for base in owner.of.ancestry[1:]:
            found = base.body.get(name) if isinstance(base, Class) else None
            if isinstance(found, Function) and isinstance(owner.owner, Instance):
                return self.method(found, owner.owner)
            if found is not None:
                return found
        return Attribute(owner.owner, name)

    def method(self, function: Function, owner: Instance) -> Value:
        """What a method is as an attribute of its object."""
        bound = self.bound(function, owner)
        if function.is_a("builtins.property", "functools.cached_property"):
            return self.follow(bound, Arguments(), self.step)
        return bound

    def evaluate_Subscript(self, node: ast.Subscript) -> Value:
        value = self.evaluate(node.value)
        index = self.evaluate(node.slice) if not isinstance(node.slice, ast.Slice) else UNKNOWN
        if isinstance(node.slice, ast.Slice):
            self.evaluate_others(node.slice)
        if isinstance(value, Version):
            return value
        return join([self.subscript(option, index, node.slice) for option in options(value)])

    def subscript(self, value: Value, index: Value, node: ast.expr) -> Value:
        key = index.value if isinstance(index, Constant) else None
        if isinstance(value, Items) and isinstance(key, int):
            return value.items[key] if -len(value.items) <= key < len(value.items) else UNKNOWN
        if isinstance(value, Table):
            return next((item for name, item in value.entries if name == key), UNKNOWN)
        if isinstance(value, Tensor):
            if isinstance(key, int | str):
                return self.tensors.part(value, key)
            if len(list(itertools.islice(ast.walk(node), 24))) == 24:
                return self.tensors.fresh(None, value.symbolic)
            return self.tensors.part(value, ast.dump(node))
        return UNKNOWN

    def evaluate_Tuple(self, node: ast.Tuple | ast.List) -> Value:
        items: list[Value] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                value = self.evaluate(element.value)
                if not isinstance(value, Items):
                    for rest in node.elts:
                        self.evaluate(rest)
                    return UNKNOWN
                items.extend(value.items)
            else:
                items.append(self.evaluate(element))
        return bounded(Items(tuple(items)))

    evaluate_List = evaluate_Tuple

    def evaluate_Dict(self, node: ast.Dict) -> Value:
        entries: list[tuple[object, Value]] = []
        for key, item in zip(node.keys, node.values, strict=True):
            name = self.evaluate(key) if key is not None else UNKNOWN
            value = self.evaluate(item)
            if key is None and isinstance(value, Table):
                entries.extend(value.entries)
            else:
                entries.append((getattr(name, "value", None), value))
        return bounded(Table(tuple(entries)))

    def evaluate_IfExp(self, node: ast.IfExp) -> Value:
        test = self.evaluate(node.test)
        with self.guarded(isinstance(test, Version)):
            values = [self.evaluate(node.body), self.evaluate(node.orelse)]
        holds = self.decided(node.test, test)
        return self.tensors.either(values) if holds is None else values[not holds]

    def evaluate_NamedExpr(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.bind(node.target, value)
        return value

    def evaluate_Lambda(self, node: ast.Lambda) -> Value:
        return self.define(node)

    def evaluate_BoolOp(self, node: ast.BoolOp) -> Value:
        values = [self.evaluate(value) for value in node.values]
        return VERSION if any(isinstance(value, Version) for value in values) else join(values)

    def evaluate_Compare(self, node: ast.Compare) -> Value:
        values = [self.evaluate(value) for value in (node.left, *node.comparators)]
        if any(isinstance(value, Version) for value in values):
            return VERSION
        same = is_same(*values) if len(values) == 2 else None
        if same is not None and isinstance(node.ops[0], ast.Eq | ast.Is):
            return Constant(same)
        if same is not None and isinstance(node.ops[0], ast.NotEq | ast.IsNot):
            return Constant(not same)
        return UNKNOWN

    def evaluate_UnaryOp(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(value, Version):
            return value
        if isinstance(node.op, ast.USub):
            return self.binary(ast.Mult(), Constant(-1), value)
        if isinstance(node.op, ast.Not):
            holds = truth(value)
            return UNKNOWN if holds is None else Constant(not holds)
        return value if isinstance(node.op, ast.UAdd) else UNKNOWN

    def evaluate_BinOp(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, self.evaluate(node.left), self.evaluate(node.right))

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        outer, self.frame = self.frame, Frame(self.frame, self.frame.step)
        for generator in node.generators:
            items = self.evaluate(generator.iter)
            element = join(list(items.items)) if isinstance(items, Items) else UNKNOWN
            self.bind(generator.target, element)
            for condition in generator.ifs:
                self.evaluate(condition)
        result: Value = UNKNOWN
        if isinstance(node, ast.ListComp) and isinstance(items, Items) and _is_plain(node):
            result = Items(tuple(self.element(node, item) for item in items.items))
        else:
            for name in ("elt", "key", "value"):
                if hasattr(node, name):
                    self.evaluate(getattr(node, name))
        self.frame = outer
        return result

    def element(self, node: ast.ListComp, item: Value) -> Value:
        """The element that a comprehension makes of one item."""
        self.bind(node.generators[0].target, item)
        return self.evaluate(node.elt)

    evaluate_ListComp = comprehension
    evaluate_SetComp = comprehension
    evaluate_GeneratorExp = comprehension
    evaluate_DictComp = comprehension

    # Arithmetic

    def binary(self, sign: ast.operator, left: Value, right: Value) -> Value:
        if (text := strings.operated(sign, left, right)) is not None:
            return text
        if isinstance(left, Constant) and isinstance(right, Constant):
            return _fold(type(sign), left.value, right.value)
        if isinstance(left, Items) and isinstance(right, Items) and isinstance(sign, ast.Add):
            return bounded(Items(left.items + right.items))
        return self.tensors.combine(_SIGNS.get(type(sign), "?"), left, right)

    # Calls

    def evaluate_Call(self, node: ast.Call) -> Value:
        function = self.evaluate(node.func)
        static = any(name.endswith(_STATIC_CALLS) for name in _names(function))
        self.quiet += static
        positional: list[Value] = []
        more = False
        for argument in node.args:
            value = self.evaluate(argument)
            if isinstance(argument, ast.Starred):
                inner = self.program.value(argument.value)
                more = more or not isinstance(inner, Items)
                positional.extend(inner.items if isinstance(inner, Items) else [UNKNOWN])
            else:
                positional.append(value)
        named: list[tuple[object, Value]] = []
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is not None:
                named.append((keyword.arg, value))
            elif isinstance(value, Table):
                named.extend(value.entries)
            else:
                more = True
        self.quiet -= static
        keywords = tuple((name, value) for name, value in named if isinstance(name, str))
        more = more or len(keywords) < len(named)
        arguments = Arguments(tuple(positional), keywords, more)
        result = join([self.call(option, arguments, node) for option in options(function)])
        self.program.calls.append(
            Call(node, function, arguments, result, self.frame, self.step, bool(self.guards))
        )
        return result

    def call(self, function: Value, arguments: Arguments, node: ast.Call) -> Value:
        if isinstance(function, Function):
            if function.name == "compile":
                self.keep_loss(function.owner, arguments)
            return self.follow(function, arguments, self.step)
        if isinstance(function, Class):
            return self.instantiate(function, arguments, node)
        if isinstance(function, Instance):
            return self.call_instance(function, arguments, node)
        if isinstance(function, Version):
            return function
        if isinstance(function, Attribute):
            return self.call_method(function, arguments, node)
        if isinstance(function, Known):
            return self.call_library(function, arguments, node)
        return UNKNOWN

    def follow(self, function: Function, arguments: Arguments, step: Step | None) -> Value:
        """Follow a function of the script; the value that it returns."""
        node = function.node
        if self.runs[node] >= _MOST_RUNS:
            # What it returned before, as far as that does not depend on its arguments.
            before = self.returned.get(node, UNKNOWN)
            if len(self.forms[node]) > 1:
                return UNKNOWN
            return self.tensors.outputs_of(before, is_symbolic(arguments.all))
        if len(self.followed) >= _MOST_CALLS or node in self.followed:
            return UNKNOWN
        self.runs[node] += 1
        frame = Frame(function.frame, step, function=function)
        outer = self.frame, self.step, self.guards
        self.frame, self.step = frame, step
        self.followed.append(node)
        self.pass_arguments(function, arguments, frame)
        if isinstance(node, ast.Lambda):
            frame.returns.append(self.evaluate(node.body))
        else:
            self.execute_all(node.body)
        self.followed.pop()
        self.frame, self.step, self.guards = outer
        result = join(frame.returns) if frame.returns else Constant(None)
        # A later run may return something of another form.
        self.forms.setdefault(node, set()).add(_form(result))
        self.returned[node] = result
        return result

    def pass_arguments(self, function: Function, arguments: Arguments, frame: Frame) -> None:
        spec = function.node.args
        names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
        positional = list(arguments.positional)
        if function.owner is not None and names:
            positional.insert(0, function.owner)
        defaults = dict(zip(reversed(names), reversed(spec.defaults), strict=False))
        only = zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
        defaults |= {argument.arg: value for argument, value in only if value is not None}
        # functools.partial supplies defaults; positional arguments skip those it gave by position.
        free = names[function.owner is not None :]
        unnamed = [value for name, value in function.partial if name is None]
        fixed = dict(zip(free, unnamed, strict=False))
        defaults |= fixed | {name: value for name, value in function.partial if name is not None}
        names = [name for name in names if name not in fixed]
        given = dict(arguments.keywords)
        others = (*fixed, *(argument.arg for argument in spec.kwonlyargs))
        for place, name in enumerate([*names, *others]):
            if place < len(names) and place < len(positional):
                value = positional[place]
            elif name in given:
                value = given[name]
            elif name in defaults and not arguments.more:
                value = self.program.value(defaults[name])
                if self.step is not None and is_symbolic(value):
                    self.read_outside(defaults[name], name)
            else:
                value = UNKNOWN
            if isinstance(value, Unknown):
                # All uses of the name share one unknown tensor.
                value = self.tensors.fresh(None, name=name)
            self.name(value, name)
            if isinstance(value, Tensor) and value.opaque is not None:
                received = self.program.arguments.setdefault(function.node, {})
                received.setdefault(name, set()).add(value.opaque)
            frame.bind(name, value)
        if spec.vararg is not None:
            frame.bind(spec.vararg.arg, bounded(Items(tuple(positional[len(names) :]))))
        if spec.kwarg is not None:
            frame.bind(spec.kwarg.arg, UNKNOWN)

    def instantiate(self, made: Class, arguments: Arguments, node: ast.Call | None) -> Instance:
        instance = self.instances[made] = Instance(made, node, arguments)
        start = made.find("__init__")
        if isinstance(start, Function):
            self.follow(self.bound(start, instance), arguments, self.step)
        hands_on = not isinstance(start, Function) or start.parameters[1:3] == _ENDS_OF_A_MODEL
        if made.is_model and hands_on and len([*arguments]) >= 2:
            self.connect(instance, arguments)
        return instance

    def bound(self, function: Function, owner: Instance) -> Function:
        if function.is_a("builtins.staticmethod"):
            return function
        if function.is_a("builtins.classmethod") and isinstance(owner.of, Class):
            return replace(function, owner=owner.of)
        return replace(function, owner=owner)

    def connect(self, model: Instance, arguments: Arguments) -> None:
        """Make a model functional if its inputs or outputs are symbolic."""
        inputs = arguments.get(0, "inputs", "input")
        outputs = arguments.get(1, "outputs", "output")
        if is_symbolic(inputs) or is_symbolic(outputs):
            model.inputs, model.outputs = inputs, outputs

    def follow_hooks(self, made: Class) -> None:
        """Follow the methods that Keras would call on a class the script does not use itself."""
        if not made.is_layer and "keras.losses.Loss" not in made.lineage:
            return
        hooks = [made.body.get(name) for name in _STEPS]
        waiting = [h for h in hooks if isinstance(h, Function) and not self.runs[h.node]]
        if not waiting:
            return
        if made not in self.instances:
            self.follow_makers(made)
            waiting = [hook for hook in waiting if not self.runs[hook.node]]
        instance = self.instances.get(made) or self.instantiate(made, Arguments(), None)
        self.build(instance)
        for hook in waiting:
            if not self.runs[hook.node]:
                # Keras passes compute_loss the data and what the model returned.
                outputs = self.returns_of(instance)
                if instance.outputs is not None or is_symbolic(outputs):
                    outputs = _numbers(outputs)
                shape = getattr(instance.inputs, "shape", None)
                named = [("x", self.tensors.fresh(shape, symbolic=False)), ("y_pred", outputs)]
                known = tuple(one for one in named if one[1] is not UNKNOWN)
                arguments = Arguments(keywords=known if hook.name == "compute_loss" else ())
                self.run_step(hook.name, self.bound(hook, instance), arguments, None)

    def follow_makers(self, made: Class) -> None:
        """Follow the functions of the module that nothing called and that mention a class."""
        methods = {getattr(v, "node", None) for c in self.program.classes for v in c.body.values()}
        for function in list(self.program.functions):
            of_module = function.frame is self.module and function.node not in methods
            if of_module and not self.runs[function.node] and _mentions(function, made.name):
                self.follow(function, Arguments(), None)

    def returns_of(self, model: Instance) -> Value:
        """What a model returned when it was last called, or its outputs if it is functional."""
        call = model.of.find("call") if isinstance(model.of, Class) else None
        if model.outputs is None and isinstance(call, Function):
            return self.returned.get(call.node, UNKNOWN)
        return model.outputs or UNKNOWN

    def build(self, instance: Instance) -> None:
        """Follow the build of a layer, once, as Keras does before the first call."""
        build = instance.of.find("build") if isinstance(instance.of, Class) else None
        if isinstance(build, Function) and instance.is_layer and instance not in self.built:
            self.built.add(instance)
            self.follow(self.bound(build, instance), Arguments(), None)

    def run_step(
        self, kind: str, function: Function, arguments: Arguments, node: ast.AST | None
    ) -> Value:
        """Follow a function as a training step."""
        step = Step(kind, function, node)
        result = self.follow(function, arguments, step)
        self.program.results.append((step, result))
        return result

    def call_instance(self, instance: Instance, arguments: Arguments, node: ast.Call) -> Value:
        given = next(iter(arguments), UNKNOWN)
        symbolic = is_symbolic(arguments.all)
        if instance.outputs is not None:
            return self.tensors.outputs_of(instance.outputs, symbolic)
        if isinstance(instance.of, Class):
            method = instance.of.find("call") or instance.of.find("__call__")
            if not isinstance(method, Function):
                return UNKNOWN
            build = instance.of.find("build")
            if isinstance(build, Function) and not self.runs[build.node]:
                self.follow(self.bound(build, instance), Arguments(), None)
            self.build(instance)
            method = self.bound(method, instance)
            if not instance.is_layer and "keras.losses.Loss" not in instance.of.lineage:
                return self.follow(method, arguments, self.step)
            inside = Arguments(
                tuple(_numbers(value) for value in arguments.positional),
                tuple((name, _numbers(value)) for name, value in arguments.keywords),
                arguments.more,
            )
            result = self.run_step("call", method, inside, node)
            return self.tensors.outputs_of(result, symbolic)
        name = instance.of.name
        if name == "keras.layers.Lambda":
            function = instance.arguments.get(0, "function")
            if isinstance(function, Function):
                inside = Arguments((_numbers(given),))
                result = self.run_step("call", function, inside, node)
                return self.tensors.outputs_of(result, symbolic)
        if (kind := library.loss_kind(name)) is not None:
            return self.tensors.loss_object(kind, instance, arguments)
        return self.tensors.layer_output(instance, given, symbolic)

    def call_method(self, function: Attribute, arguments: Arguments, node: ast.Call) -> Value:
        owner, name = function.owner, function.name
        if (text := strings.of_method(owner, name, arguments)) is not None:
            return text
        if name == "compile":
            self.compile(owner, arguments, node)
        if name == "__init__" and isinstance(owner, Instance) and owner.is_model:
            self.connect(owner, arguments)
        if isinstance(owner, Instance) and owner.is_layer:
            if name == "get_layer":
                return Instance(_known("keras.layers.Layer"), node)
            if name == "add" and isinstance(owner.arguments.get(0, "layers") or Items(()), Items):
                layers = owner.arguments.get(0, "layers")
                before = layers.items if isinstance(layers, Items) else ()
                if len(self.frame.layers) > 1:
                    # In a branch: it is no longer known which layers there are.
                    owner.arguments = Arguments((UNKNOWN,))
                elif len(before) < 64:
                    owner.arguments = Arguments((Items(before + arguments.positional[:1]),))
        if isinstance(owner, Tensor) and name in ("mean", "sum", "exp", "square", "log", "pow"):
            inside = replace(arguments, positional=(owner, *arguments.positional))
            return self.call_library(_known(f"torch.{name}"), inside, node)
        if isinstance(owner, Tensor) and pixel_range(owner) and library.rearranges(name):
            return Tensor(owner.expression)
        if isinstance(owner, Tensor) and name == "astype":
            return owner
        if name == "predict" and isinstance(owner, Instance) and owner.outputs is not None:
            return self.tensors.outputs_of(owner.outputs, False)
        return UNKNOWN

    def super(self, arguments: Arguments) -> Value:
        """What a call of super stands for."""
        if len(arguments.positional) == 2:
            of, owner = arguments.positional
            return Super(owner, "super", of) if isinstance(of, Class) else UNKNOWN
        frame: Frame | None = self.frame
        while frame is not None and (frame.function is None or frame.function.home is None):
            frame = frame.parent
        if frame is None or frame.function is None or frame.function.home is None:
            return UNKNOWN
        return Super(frame.function.owner or UNKNOWN, "super", frame.function.home)

    def compile(self, model: Value, arguments: Arguments, node: ast.Call) -> None:
        """Follow the functions that compile makes Keras apply to the outputs of a model."""
        outputs = model.outputs if isinstance(model, Instance) else None
        known = outputs if isinstance(outputs, Tensor) else self.tensors.fresh(None)
        kinds = (
            ("loss", arguments.get(1, "loss")),
            ("metric", arguments.get(2, "metrics")),
        )
        for kind, value in kinds:
            for function in _functions(value):
                target = self.tensors.fresh(known.shape)
                output = self.tensors.outputs_of(known, symbolic=False)
                self.run_step(kind, function, Arguments((target, output)), node)
        self.keep_loss(model, arguments)

    def keep_loss(self, model: Value | None, arguments: Arguments) -> None:
        """Set the attribute in which Keras keeps the loss that compile is given."""
        loss = arguments.get(1, "loss")
        if isinstance(model, Instance) and model.is_model and loss is not None:
            model.attributes["loss"] = loss

    def call_library(self, function: Known, arguments: Arguments, node: ast.Call) -> Value:
        name = function.name
        given = next(iter(arguments), UNKNOWN)
        if name == "builtins.super":
            return self.super(arguments)
        if name == "builtins.hasattr" or any(isinstance(value, Version) for value in arguments):
            return VERSION if name != "builtins.print" else UNKNOWN
        if name in ("keras.Input", "keras.layers.Input"):
            return self.tensors.input(arguments)
        if is_model_name(name):
            model = Instance(function, node, arguments)
            if not name.endswith("Sequential"):
                self.connect(model, arguments)
            return model
        if is_layer_name(name):
            # Keras 2 also had its layers in inner modules: keras.layers.core.Lambda.
            return Instance(replace(function, name=library.layer(name)), node, arguments)
        if name.startswith(("keras.losses.", "keras.optimizers.")) and library.is_class(name):
            return Instance(function, node, arguments)
        if (kind := library.noise(name)) is not None:
            return Tensor(expressions.of(Noise(node, kind)))
        if name == "functools.partial" and isinstance(given, Function):
            return _partial(given, node)
        if (module := library.generator(name)) is not None:
            return _known(module)
        if library.is_dataset(name):
            return Items((Items((pixels(name), UNKNOWN)),) * 2)
        if (text := strings.of_library(name, arguments)) is not None:
            return text
        return self.tensors.compute(name, arguments, given)


def _known(spelled: str) -> Known:
    return Known(library.canonical(spelled), spelled)


def _names(value: Value) -> set[str]:
    return {option.name for option in options(value) if isinstance(option, Known)}


def _fold(sign: type[ast.operator], left: object, right: object) -> Value:
    """Arithmetic of constants, if the result is small; else UNKNOWN."""
    function = _OPERATORS.get(sign)
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if function is None or not numbers or max(abs(left), abs(right)) > 1e9:  # type: ignore
        return UNKNOWN
    if sign is ast.Pow and abs(right) > 16:  # type: ignore[arg-type]
        return UNKNOWN
    try:
        result = function(left, right)
    except ArithmeticError:
        return UNKNOWN
    return Constant(result) if isinstance(result, int | float) else UNKNOWN


def _is_plain(node: ast.ListComp) -> bool:
    """Whether a comprehension has a single loop, no condition and no comprehension inside it."""
    (first, *others), inner = node.generators, (ast.ListComp, ast.DictComp, ast.GeneratorExp)
    return not (others or first.ifs or any(isinstance(n, inner) for n in ast.walk(node.elt)))


def _partial(function: Function, node: ast.Call) -> Value:
    """What functools.partial makes of a function; UNKNOWN if `*` or `**` give it arguments."""
    unnamed = [(None, value) for value in node.args[1:]]
    named = [(keyword.arg, keyword.value) for keyword in node.keywords]
    if any(isinstance(value, ast.Starred) for value in node.args) or None in dict(named):
        return UNKNOWN
    return replace(function, partial=(*function.partial, *unnamed, *named))


def _are_layers(items: Items) -> bool:
    """Whether a list holds layers, and few enough to follow each."""
    layers = (isinstance(item, Instance) and item.is_layer for item in items.items)
    return 0 < len(items.items) <= _MOST_TURNS and all(layers)


def _form(value: Value) -> int:
    """How many values a function returned at once."""
    return len(value.items) if isinstance(value, Items) else -1


def _mentions(function: Function, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(function.node))


def _is_tf_function(function: Function) -> bool:
    return any("tensorflow.function" in _names(decorator) for decorator in function.decorators)


def _catches_absence(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches what happens if another version lacks something."""
    if handler.type is None:
        return True
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(names & {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception"})


def _numbers(value: Value) -> Value:
    """What the call of a layer sees of symbolic arguments: the same tensors, with numbers."""
    if isinstance(value, Tensor):
        return Tensor(value.expression, value.shape, False, value.activation)
    if isinstance(value, Items):
        return Items(tuple(_numbers(item) for item in value.items))
    if isinstance(value, Table):
        return Table(tuple((key, _numbers(item)) for key, item in value.entries))
    if isinstance(value, Choice):
        return join([_numbers(option) for option in value.options])
    return value


def _functions(value: Value | None) -> Iterator[Function]:
    """The functions, and the call methods of loss objects, that compile is given."""
    for option in options(value):
        if isinstance(option, Function):
            yield option
        elif isinstance(option, Items):
            for item in option.items:
                yield from _functions(item)
        elif isinstance(option, Table):
            for _, item in option.entries:
                yield from _functions(item)
        elif isinstance(option, Instance) and isinstance(option.of, Class):
            call = option.of.find("call")
            if isinstance(call, Function) and not option.is_layer:
                yield replace(call, owner=option)
