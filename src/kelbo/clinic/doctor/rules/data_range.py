"""KLB213."""

from collections.abc import Iterator

from kelbo.clinic.doctor.cross_entropy import CrossEntropy, cross_entropies
from kelbo.clinic.doctor.expressions import Opaque
from kelbo.clinic.doctor.pixels import (
    changes_in_place,
    interval,
    is_within_unit,
    pixel_range,
    scaled,
)
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Constant, Function, Instance, Tensor, Value, options

_Range = tuple[float, float]


class DataRange(Rule):
    """The binary cross-entropy is given data outside [0, 1].

    ## What it does
    Follows the images that `keras.datasets` loads through divisions and subtractions to `fit`, and
    from there to the targets of the binary cross-entropy.

    ## Why is this bad
    A target of 255 is not a probability. The cross-entropy then has no minimum: it falls without
    end, below 0, as the outputs go to 1 for every pixel above 1 and to 0 for every pixel below 0.

    ## Example
    ```python
    (x_train, _), _ = keras.datasets.mnist.load_data()
    vae.compile("adam", loss="binary_crossentropy")
    vae.fit(x_train, x_train)
    ```

    ## Use instead
    ```python
    (x_train, _), _ = keras.datasets.mnist.load_data()
    x_train = x_train.astype("float32") / 255.0
    vae.compile("adam", loss="binary_crossentropy")
    vae.fit(x_train, x_train)
    ```
    """

    code = "KLB213"
    title = "The cross-entropy gets data outside [0, 1]"
    severity = Severity.ERROR
    why = (
        "Every Keras trains it silently. The loss has no minimum and falls below 0, because a "
        "target outside [0, 1] is not a probability."
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such cross-entropy."""
        fits = list(program.method_calls("fit"))
        for entropy in cross_entropies(program):
            found = _range(program, entropy, fits)
            if found is not None and not is_within_unit(*found):
                if changes_in_place(program.tree):
                    return
                low, high = found
                repair = (
                    "Divide the images by 255 before fit."
                    if high > 1.0 + abs(low)
                    else "Scale the images to [0, 1], x / 255; or keep them, with a tanh, and take "
                    "the squared error."
                )
                yield self.finding(
                    entropy.node,
                    f"The targets of the cross-entropy are images with pixels from {low:g} to "
                    f"{high:g}.",
                    repair,
                )


def _range(program: Program, entropy: CrossEntropy, fits: list[Call]) -> _Range | None:
    """The range of the targets, if it is the same in every case; else None."""
    ranges = set()
    for target in options(entropy.target) if entropy.target is not None else (None,):
        ranges |= _ranges(program, entropy.call, target, fits)
    return ranges.pop() if len(ranges) == 1 else None


def _ranges(
    program: Program, call: Call, target: Value | None, fits: list[Call]
) -> set[_Range | None]:
    known = pixel_range(target)
    if known is not None:
        return {known}
    if target is None:
        return {pixel_range(_targets(fit)) for fit in _of(call.owners, fits)}
    parts = scaled(target.expression) if isinstance(target, Tensor) else None
    if parts is None:
        return {None}
    factor, shift, source = parts
    found: set[_Range | None] = set()
    for fit in fits:
        data = _supplied(program, call, source, fit)
        inner = pixel_range(data)
        if data is not None:
            found.add(None if inner is None else interval(factor, shift, *inner))
    return found


def _of(owners: tuple[Value, ...], fits: list[Call]) -> list[Call]:
    return [fit for fit in fits if any(owner in owners for owner in fit.owners)]


def _inputs(fit: Call) -> Value | None:
    return fit.arguments.get(0, "x")


def _targets(fit: Call) -> Value | None:
    return fit.arguments.get(1, "y")


def _supplied(program: Program, call: Call, source: Opaque, fit: Call) -> Value | None:
    """What fit supplies for a tensor of the loss; None if it supplies nothing."""
    step = call.step
    if step is None:
        inputs = [owner.inputs for owner in fit.owners if isinstance(owner, Instance)]
        given = any(isinstance(i, Tensor) and i.opaque == source for i in inputs)
        return _inputs(fit) if given else None
    function = step.function
    name, part = _argument(program, function, Opaque(source.key[:1])), source.key[1:]
    first = next(iter(function.parameters[function.owner is not None :]), "")
    if step.kind == "loss":
        owners = tuple(o for c in program.calls if c.node is step.node for o in c.owners)
        is_target = _of(owners, [fit]) and part == () and name == first
        return _targets(fit) if is_target else None
    if function.owner not in fit.owners:
        return None
    targets = _targets(fit)
    if step.kind == "compute_loss" and part == ():
        return {"x": _inputs(fit), "y": targets}.get(name)
    if step.kind == "call":
        return _inputs(fit) if part == () and name == first else None
    alone = targets in (None, Constant(None))
    if step.kind in ("train_step", "test_step") and name == first:
        if part == (0,) or (part == () and alone):
            return _inputs(fit)
    return None


def _argument(program: Program, function: Function, source: Opaque) -> str:
    """The name of the argument of a function that a tensor is; empty if it is none."""
    given = program.arguments.get(function.node, {})
    return next((name for name, tensors in given.items() if source in tensors), "")
