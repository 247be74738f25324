"""Makes tensors by arithmetic, library functions, layers and models."""

import itertools
from dataclasses import replace

from kelbo.clinic.doctor import expressions, library
from kelbo.clinic.doctor.expressions import Divergence, Expression, Opaque, Operation, Reduction
from kelbo.clinic.doctor.pixels import joined, pixel_range
from kelbo.clinic.doctor.values import (
    UNKNOWN,
    VERSION,
    Arguments,
    Attribute,
    Choice,
    Constant,
    Instance,
    Items,
    Known,
    Shape,
    Table,
    Tensor,
    Value,
    Version,
    is_symbolic,
    join,
    options,
)


class Tensors:
    """The tensors that a script computes; each one of unknown source is distinct."""

    def __init__(self) -> None:
        self._keys = itertools.count()

    def fresh(self, shape: Shape | None, symbolic: bool = False, name: str = "") -> Tensor:
        """A tensor of which nothing else is known."""
        return Tensor(self.opaque(name), shape, symbolic)

    def opaque(self, name: str = "") -> Expression:
        """An expression that is equal to no other."""
        return expressions.of(Opaque((next(self._keys),), name))

    def tensor(self, value: Value) -> Tensor:
        """Any value as a tensor; an unknown value becomes a new one."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Constant) and isinstance(value.value, int | float):
            return Tensor(expressions.number(_finite(value.value)), ())
        if isinstance(value, Attribute):
            return Tensor(
                expressions.of(Opaque(("attribute", id(value.owner), value.name), value.name))
            )
        return self.fresh(None)

    def part(self, tensor: Tensor, key: object, shape: Shape | None = None) -> Tensor:
        """A part of a tensor; the same key always gives the same part."""
        source = tensor.opaque.key if tensor.opaque else (tensor.expression,)
        if len(source) > 6:
            return self.fresh(shape, tensor.symbolic)
        name = key if isinstance(key, str) and key.isidentifier() else ""
        made = expressions.of(Opaque((*source, key), name))
        return Tensor(made, shape, tensor.symbolic, tensor.activation)

    def either(self, values: list[Value]) -> Value:
        """The value of something that several branches make.

        The data, or their first part if they are a tuple, are one tensor of unknown source.
        """
        keys = [one.opaque.key for one in values if isinstance(one, Tensor) and one.opaque]
        if len(values) == len(keys) == 2 and min(keys, key=len) == max(keys, key=len)[:-1]:
            return self.fresh(None)
        return join(values)

    def outputs_of(self, outputs: Value, symbolic: bool) -> Value:
        """What a call of a model returns: new tensors, in the structure of its outputs."""
        if isinstance(outputs, Tensor):
            return Tensor(self.opaque(), outputs.shape, symbolic, outputs.activation)
        if isinstance(outputs, Items):
            return Items(tuple(self.outputs_of(item, symbolic) for item in outputs.items))
        if isinstance(outputs, Table):
            return Table(tuple((k, self.outputs_of(item, symbolic)) for k, item in outputs.entries))
        return self.fresh(None, symbolic) if symbolic else UNKNOWN

    def input(self, arguments: Arguments) -> Tensor:
        """The tensor that keras.Input makes."""
        sizes = library.sizes(arguments.get(0, "shape"))
        whole = library.sizes(arguments.get(None, "batch_shape"))
        shape: Shape | None = None
        if sizes is not None:
            shape = (None, *sizes)
        elif whole:
            shape = (None, *whole[1:])
        return self.fresh(shape, symbolic=True)

    def combine(self, sign: str, left: Value, right: Value) -> Value:
        """The tensor that an operator makes of two values."""
        if isinstance(left, Choice) or isinstance(right, Choice):
            pairs = [(one, other) for one in options(left) for other in options(right)]
            return join([self.combine(sign, one, other) for one, other in pairs[:4]])
        if isinstance(left, Version) or isinstance(right, Version):
            return VERSION
        first, second = self.tensor(left), self.tensor(right)
        made: Expression | None = None
        if sign in ("+", "-"):
            made = expressions.add(
                first.expression, second.expression, 1.0 if sign == "+" else -1.0
            )
        elif sign == "*":
            made = expressions.multiply(first.expression, second.expression)
        elif sign == "/" and second.expression.number:
            made = expressions.multiply(
                first.expression, expressions.number(1.0 / second.expression.number)
            )
        elif sign == "/" and isinstance(divisor := second.expression.atom, Operation):
            if divisor.name == "exp":
                negative = expressions.multiply(divisor.argument, expressions.number(-1.0))
                inverse = negative and expressions.operate("exp", negative)
                made = inverse and expressions.multiply(first.expression, inverse)
        elif sign == "**" and second.expression.number is not None:
            made = expressions.power(first.expression, second.expression.number)
        if made is None:
            made = self.opaque()
        shape = library.broadcast(first.shape, second.shape)
        return Tensor(made, shape, first.symbolic or second.symbolic)

    def compute(self, name: str, arguments: Arguments, given: Value) -> Value:
        """The result of a mathematical library function."""
        if library.is_cast(name):
            return given
        if isinstance(given, Tensor) and pixel_range(given) and library.rearranges(name):
            return Tensor(given.expression)
        if isinstance(given, Items) and library.joins(name) and (whole := joined(given)):
            return whole
        if isinstance(given, Tensor) and library.splits(name):
            return self.part(given, name)
        if (sign := library.arithmetic(name)) is not None:
            second = arguments.get(1, "y", "x2", "other")
            return self.combine(sign, given, second) if second is not None else UNKNOWN
        if (kind := library.reduction(name)) is not None:
            return self.reduce(kind, arguments, self.tensor(given))
        if (kind := library.elementwise_loss(name)) is not None:
            if name == "tensorflow.nn.sigmoid_cross_entropy_with_logits":
                logits = (("from_logits", Constant(True)),)
                arguments = replace(arguments, keywords=(*arguments.keywords, *logits))
            return self.divergence(kind, arguments, averaged=False)
        if (kind := library.mean_loss(name)) is not None:
            return self.divergence(kind, arguments, averaged=True)
        tensor = self.tensor(given) if not isinstance(given, Items) else None
        if tensor is not None and (operation := library.elementwise(name)) is not None:
            made = expressions.operate(operation, tensor.expression)
            return Tensor(made or self.opaque(), tensor.shape, tensor.symbolic)
        if tensor is not None and library.flattens_the_batch(name, arguments):
            shape = (tensor.shape,) if tensor.shape is not None else None
            return Tensor(tensor.expression, shape, tensor.symbolic)
        return self.fresh(None, symbolic=True) if is_symbolic(arguments.all) else UNKNOWN

    def reduce(self, how: str, arguments: Arguments, tensor: Tensor) -> Value:
        """The sum or the mean of a tensor over the axes in the arguments."""
        axis = arguments.get(1, "axis", "dim", "reduction_indices")
        axes: tuple[int, ...] | None = None
        if axis is not None and axis != Constant(None):
            axes = library.sizes(axis)
            if axes is None:
                return self.fresh(None, tensor.symbolic)
        keepdims = arguments.get(2, "keepdims", "keep_dims") == Constant(True)
        if tensor.expression.depth > 12:
            return self.fresh(None, tensor.symbolic)
        atom = Reduction(how, axes, keepdims, tensor.expression, tensor.shape)
        shape = library.reduced(tensor.shape, axes, keepdims)
        return Tensor(expressions.of(atom), shape, tensor.symbolic)

    def divergence(self, kind: str, arguments: Arguments, averaged: bool) -> Value:
        """A reconstruction loss between two tensors."""
        target = arguments.get(0, "target", "y_true", "labels", "true")
        output = arguments.get(1, "output", "y_pred", "logits", "pred")
        first, second = self.tensor(target or UNKNOWN), self.tensor(output or UNKNOWN)
        logits = arguments.get(2, "from_logits")
        smoothing = arguments.get(3, "label_smoothing") or Constant(0)
        known = logits is None or isinstance(logits, Constant)
        known = known and isinstance(smoothing, Constant) and not smoothing.value
        from_logits = bool(getattr(logits, "value", False)) if known else None
        if max(first.expression.depth, second.expression.depth) > 12:
            return self.fresh(None, first.symbolic or second.symbolic)
        atom = Divergence(kind, first.expression, second.expression, from_logits)
        shape = second.shape if second.shape is not None else first.shape
        tensor = Tensor(expressions.of(atom), shape, first.symbolic or second.symbolic)
        if not averaged:
            return tensor
        axis = arguments.get(4, "axis") or Constant(-1)
        return self.reduce("mean", Arguments((tensor, axis)), tensor)

    def loss_object(self, kind: str, loss: Instance, arguments: Arguments) -> Value:
        """The result of a Keras loss object for two tensors."""
        given, entropy = loss.arguments.get(None, "reduction"), "crossentropy" in kind
        how = str(library.text(given) or getattr(given, "name", "")).rpartition(".")[2].lower()
        named = {"from_logits": 0, "label_smoothing": 1, "axis": 2} if entropy else {}
        options_given = {name: loss.arguments.get(place, name) for name, place in named.items()}
        extra = tuple((name, value) for name, value in options_given.items() if value is not None)
        weighted = len([*arguments]) > 2
        inside = replace(arguments, keywords=(*arguments.keywords, *extra))
        value = self.divergence(kind, inside, averaged=True)
        if how == "none" or not isinstance(value, Tensor):
            return value
        if weighted or given is not None and how not in ("sum", *library.MEANS):
            return self.fresh((), value.symbolic)
        return self.reduce("sum" if how == "sum" else "mean", Arguments((value,)), value)

    def layer_output(self, layer: Instance, given: Value, symbolic: bool) -> Value:
        """The output of a Keras layer or a sequential model."""
        if not isinstance(layer.of, Known) or not layer.is_layer:
            return UNKNOWN
        shapes = [t.shape for t in _tensors(given)]
        shape = shapes[0] if shapes and all(shape == shapes[0] for shape in shapes) else None
        if layer.of.name.endswith(".Sequential"):
            activation = sequential_activation(layer)
            return Tensor(self.opaque(), _sequential_shape(layer, shape), symbolic, activation)
        shape = library.output_shape(layer.of.name, layer.arguments, shape)
        activation = library.activation(layer.of.name, layer.arguments)
        if isinstance(given, Tensor) and library.keeps_values(layer.of.name):
            activation = given.activation
        return Tensor(self.opaque(), shape, symbolic, activation)


def sequential_activation(model: Instance) -> str | None:
    """The activation that a sequential model ends in; None if its last layer is not known."""
    layers = model.arguments.get(0, "layers")
    for layer in reversed(layers.items if isinstance(layers, Items) else ()):
        if not isinstance(layer, Instance) or not isinstance(layer.of, Known):
            break
        if not library.keeps_values(layer.of.name):
            return library.activation(layer.of.name, layer.arguments)
    return None


def _sequential_shape(model: Instance, shape: Shape | None) -> Shape | None:
    """The shape after all layers of a sequential model."""
    layers = model.arguments.get(0, "layers")
    if not isinstance(layers, Items):
        return None
    for layer in layers.items:
        if not isinstance(layer, Instance) or not isinstance(layer.of, Known):
            if isinstance(layer, Tensor):
                shape = layer.shape
                continue
            return None
        given = layer.arguments.get(None, "input_shape")
        if shape is None and (whole := library.sizes(given)) is not None:
            shape = (None, *whole)
        shape = library.output_shape(layer.of.name, layer.arguments, shape)
    return shape


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return 0.0


def _tensors(value: Value) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Items):
        return [tensor for item in value.items for tensor in _tensors(item)]
    return []
