"""Finds the two terms of the ELBO in a script's arithmetic, and what each of them weighs.

They are recognised in any order, with any reductions and with any factors in front of them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from kelbo.beta import beta_from_mean_weights
from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.divergence import KL, match_kl
from kelbo.clinic.doctor.expressions import Atom, Divergence, Expression, Operation, Reduction
from kelbo.clinic.doctor.program import Program, once
from kelbo.clinic.doctor.values import (
    Constant,
    Instance,
    Items,
    Known,
    Shape,
    Step,
    Table,
    Tensor,
    Value,
    options,
)

# One element of a reconstruction loss divided by -log p in nats. A squared error is taken for a
# Gaussian of unit variance, whose -log p is half of it.
_NATS = {"binary_crossentropy": 1.0, "squared_error": 2.0}


@dataclass(frozen=True)
class Term:
    """A part of a loss.

    Args:
        content: the KL term or the reconstruction loss.
        factor: the number in front of it.
        weights: other factors, whose values are not known.
        reductions: the sums and means around it, the innermost last.
    """

    content: KL | Divergence
    factor: float = 1.0
    weights: tuple[Atom, ...] = ()
    reductions: tuple[Reduction, ...] = ()

    @property
    def shape(self) -> Shape | None:
        """The shape of the tensor that is reduced first; None if it cannot be told."""
        return self.reductions[-1].shape if self.reductions else None


@dataclass(frozen=True)
class Loss:
    """A loss that the script hands to Keras or differentiates.

    Args:
        node: the syntax.
        value: the tensor.
        step: the training step that computes it.
        by_layer: whether it is passed to add_loss.
    """

    node: ast.AST
    value: Tensor
    step: Step | None
    by_layer: bool = False

    @property
    def terms(self) -> list[Term]:
        """Its KL terms and reconstruction losses."""
        return list(terms(self.value.expression))


def terms(
    expression: Expression,
    factor: float = 1.0,
    weights: tuple[Atom, ...] = (),
    reductions: tuple[Reduction, ...] = (),
) -> Iterator[Term]:
    """The KL terms and the reconstruction losses in an expression."""
    found = match_kl(expression)
    if found is not None:
        yield Term(found, factor, weights, reductions)
        return
    for coefficient, atoms in expression.terms:
        whole = factor * coefficient
        reduced = [atom for atom in atoms if isinstance(atom, Reduction)]
        contents = [atom for atom in map(divergence_of, atoms) if atom is not None]
        if len(reduced) == 1 and not contents:
            (one,) = reduced
            others = tuple(atom for atom in atoms if atom is not one)
            yield from terms(one.argument, whole, weights + others, (*reductions, one))
        elif len(contents) == 1 and not reduced:
            others = tuple(atom for atom in atoms if divergence_of(atom) is None)
            yield Term(contents[0], whole, weights + others, reductions)


def divergence_of(atom: Atom) -> Divergence | None:
    """A reconstruction loss, even if it is written out as the square of a difference."""
    if isinstance(atom, Divergence):
        return atom
    if isinstance(atom, Operation) and atom.name == "square" and len(atom.argument.terms) == 2:
        (one, left), (other, right) = atom.argument.terms
        if one == -other and len(left) == len(right) == 1:
            signs = {1.0: left[0], -1.0: right[0]} if one > 0 else {1.0: right[0], -1.0: left[0]}
            return Divergence(
                "squared_error",
                Expression(((1.0, (signs[1.0],)),)),
                Expression(((1.0, (signs[-1.0],)),)),
            )
    return None


@once
def kl_terms(program: Program) -> list[tuple[ast.AST, KL]]:
    """The expressions of a script that are KL terms, each with its term."""
    found = ((node, match_kl(value.expression)) for node, value in program.tensors)
    return [(node, kl) for node, kl in found if kl is not None]


@once
def losses(program: Program) -> list[Loss]:
    """Every loss that the script hands to Keras or differentiates."""
    return list(_losses(program))


def _losses(program: Program) -> Iterator[Loss]:
    def each(
        value: Value | None, node: ast.AST, step: Step | None, by_layer: bool = False
    ) -> Iterator[Loss]:
        for option in options(value):
            if isinstance(option, Tensor):
                yield Loss(program.origin(option, node), option, step, by_layer)

    for step, result in program.results:
        if step.kind in ("loss", "compute_loss"):
            yield from each(result, step.function.node, step)
    for call in program.calls:
        if call.method == "add_loss":
            yield from each(call.arguments.get(0, "losses", "loss"), call.node, call.step, True)
        elif call.method == "gradient":
            yield from each(call.arguments.get(0, "target"), call.node, call.step)


@dataclass(frozen=True)
class Scale:
    """How much one element of a term counts in the loss of one datum.

    Args:
        weight: how much one pixel or one latent dimension counts.
        elements: the number of pixels or latent dimensions.
        divided: the number by which the reductions divide.
        batches: how often it is summed over the batch instead of averaged.
    """

    weight: float
    elements: int
    divided: float
    batches: int = 0


def scale(term: Term, shape: Shape | None = None) -> Scale | None:
    """How much an element of a term counts; None if it cannot be told.

    Args:
        term: the part of a loss.
        shape: the shape of what is reduced first, for a term that does not have it.
    """
    shape = term.shape if term.shape is not None else shape
    if shape is None or not shape or term.weights:
        return None
    elements = library.volume(shape)
    if not elements:
        return None
    divided, batches, left = 1.0, 0, shape
    for reduction in reversed(term.reductions):
        axes = reduction.axes
        if axes is not None and any(not -len(left) <= axis < len(left) for axis in axes):
            return None
        gone = set(range(len(left))) if axes is None else {axis % len(left) for axis in axes}
        sizes = [left[place] for place in gone]
        if reduction.how == "mean":
            divided *= library.volume(sizes) or 1
        elif any(map(library.has_batch, sizes)):
            batches += 1
        elif not any(map(library.has_batch, left)):
            return None  # perhaps a sum over the batch of another term
        left = library.reduced(left, axes, reduction.keepdims) or ()
    # Keras averages over the axes that a loss function leaves beside the batch.
    divided *= library.volume(left) or 1
    return Scale(term.factor / divided, elements, divided, batches)


@dataclass(frozen=True)
class Balance:
    """How the reconstruction and the KL term weigh against each other.

    Args:
        node: the loss.
        reconstruction: the reconstruction term.
        kl: the KL term.
        pixel: how much a pixel counts.
        latent: how much a latent dimension counts.
        beta: the effective beta; for batches of one datum if a term is summed over the batch.
    """

    node: ast.AST
    reconstruction: Term
    kl: Term
    pixel: Scale
    latent: Scale
    beta: float

    @property
    def kl_factor(self) -> float:
        """The number in front of 1 + L - mu^2 - e^L: -0.5 in the ELBO."""
        return self.kl.factor * getattr(self.kl.content, "factor", 0.0)

    @property
    def is_of_squares(self) -> bool:
        """Whether the reconstruction is a squared error."""
        return getattr(self.reconstruction.content, "kind", "") == "squared_error"


@dataclass(frozen=True)
class Unsized:
    """How a mean over pixels and a KL term weigh, where the number D of pixels is not known.

    Args:
        node: the loss.
        latent: how much a latent dimension counts; None if d, their number, is not known either.
        factor: the effective beta is this times D, or times D / d.
    """

    node: ast.AST
    latent: Scale | None
    factor: float


def balances(program: Program) -> Iterator[Balance]:
    """The balance of every loss with both terms, and of every KL term beside a compiled loss."""
    averaged = (0, 0)
    return (b for b in _balances(program) if (b.pixel.batches, b.latent.batches) == averaged)


def summed(program: Program) -> Iterator[Balance]:
    """The balance of every loss that sums one term over the batch and averages the other."""
    for balance in _balances(program):
        reconstruction = balance.reconstruction
        # If only the shape of the data is known, a sum may be over any axis.
        sure = all(one.how == "mean" for one in reconstruction.reductions)
        if {balance.pixel.batches, balance.latent.batches} == {0, 1}:
            if sure or reconstruction.shape is not None:
                yield balance


@once
def _balances(program: Program) -> list[Balance]:
    shape = images(program)
    found = (_balance(*pair, shape) for pair in _pairs(program, shape))
    return [balance for balance in found if balance is not None]


def batch_size(program: Program) -> int | None:
    """The size of the batches that a script trains with; None if there is not exactly one."""
    given = [
        *(call.arguments.get(None, "batch_size") for call in program.method_calls("fit")),
        *(call.arguments.get(0, "batch_size") for call in program.method_calls("batch")),
    ]
    found = {library.whole(size) for size in given if size is not None}
    return found.pop() if len(found) == 1 else None


def unsized(program: Program) -> Iterator[Unsized]:
    """How the terms of a loss weigh if its reconstruction is a mean over unknown pixels."""
    if images(program) is not None:
        return
    for node, reconstruction, kl in _pairs(program, None):
        counts, nats = scale(kl), _NATS.get(getattr(reconstruction.content, "kind", ""))
        if not _is_mean_of_all(reconstruction) or reconstruction.factor <= 0.0 or nats is None:
            continue
        latent = counts if counts is not None and not counts.batches else None
        if latent is not None or _is_mean_of_all(kl):
            counted = latent.weight if latent is not None else kl.factor
            weight = -2.0 * counted * getattr(kl.content, "factor", 0.0)
            yield Unsized(node, latent, weight / (reconstruction.factor * nats))


def _is_mean_of_all(term: Term) -> bool:
    """Whether a term of unknown shape is a mean over everything."""
    everything = any(reduction.axes is None for reduction in term.reductions)
    means = all(reduction.how == "mean" for reduction in term.reductions)
    return term.shape is None and everything and means and not term.weights


def _pairs(program: Program, shape: Shape | None) -> Iterator[tuple[ast.AST, Term, Term]]:
    """The pairs of a reconstruction loss and a KL term that are added up, with their loss."""
    for loss in losses(program):
        divergences = [term for term in loss.terms if not isinstance(term.content, KL)]
        for kl in loss.terms:
            if isinstance(kl.content, KL) and kl.content.factor is not None:
                others = divergences if len(divergences) == 1 else []
                if loss.by_layer and not divergences:
                    others = list(compiled_reconstructions(program, shape))
                for reconstruction in others:
                    yield loss.node, reconstruction, kl


def _balance(node: ast.AST, reconstruction: Term, kl: Term, shape: Shape | None) -> Balance | None:
    pixel, latent = scale(reconstruction, shape), scale(kl)
    nats = _NATS.get(getattr(reconstruction.content, "kind", ""))
    if pixel is None or latent is None or nats is None:
        return None
    weight = -2.0 * latent.weight * getattr(kl.content, "factor", 0.0)
    if weight <= 0.0 or pixel.weight <= 0.0:
        return None
    # beta_from_mean_weights takes the ratio of the weights as if each term were a mean.
    ratio = weight * latent.elements / (pixel.weight * pixel.elements * nats)
    beta = beta_from_mean_weights(ratio, pixel.elements, latent.elements)
    return Balance(node, reconstruction, kl, pixel, latent, beta)


def compiled_reconstructions(program: Program, shape: Shape | None) -> Iterator[Term]:
    """The reconstruction losses that compile is given by name."""
    for call in program.method_calls("compile"):
        for owner in call.owners:
            made = outputs(program, owner)
            known = made.shape if isinstance(made, Tensor) else None
            for loss in options(call.arguments.get(1, "loss")):
                if (term := compiled_reconstruction(loss, known or shape)) is not None:
                    yield term


def outputs(program: Program, model: Value) -> Value | None:
    """The outputs of a model; for a class of the script, what its call returns."""
    if not isinstance(model, Instance) or model.outputs is not None or isinstance(model.of, Known):
        return getattr(model, "outputs", None)
    returned = [
        result
        for step, result in program.results
        if step.kind == "call" and getattr(step.function.owner, "of", None) is model.of
    ]
    shapes = {getattr(result, "shape", None) for result in returned}
    return returned[0] if len(shapes) == 1 else None


def compiled_reconstruction(value: Value | None, shape: Shape | None) -> Term | None:
    """The reconstruction loss that compile is given by name or as a Keras loss."""
    for option in options(value):
        name = library.text(option) or ""
        if isinstance(option, Instance):
            name = getattr(option.of, "name", "") if _is_mean(option) else ""
        elif not name:
            name = getattr(option, "name", "")
        kind = library.loss_kind(str(name)) if not isinstance(option, Items | Table) else None
        if kind is not None:
            whole = Reduction("mean", None, False, Expression(()), shape)
            return Term(
                Divergence(kind, None, None, _from_logits(option, kind)), reductions=(whole,)
            )
    return None


def _from_logits(loss: Value, kind: str) -> bool | None:
    """Whether a loss of Keras takes logits; None if that, or another option of it, is not known."""
    if not isinstance(loss, Instance):
        return False
    logits, named = loss.arguments.get(0, "from_logits"), dict(loss.arguments.keywords)
    plain = len(loss.arguments.positional) < 2 and named.keys() <= {
        "from_logits",
        "name",
        "reduction",
    }
    if not plain or loss.arguments.more or "crossentropy" not in kind and logits is not None:
        return None
    if logits is None:
        return False
    return logits.value if isinstance(logits, Constant) and logits.value in (True, False) else None


def _is_mean(loss: Instance) -> bool:
    """Whether a loss object of Keras averages over the batch, as it does by default."""
    given = loss.arguments.get(None, "reduction")
    name = library.text(given) or getattr(given, "name", "")
    return given is None or str(name).rpartition(".")[2].lower() in library.MEANS


def images(program: Program) -> Shape | None:
    """The shape of the data: that of the largest Input; None if any has no known shape."""
    inputs = list(program.calls_of("keras.Input", "keras.layers.Input"))
    results = [call.result for call in inputs if isinstance(call.result, Tensor)]
    shapes = [tensor.shape for tensor in results if tensor.shape]
    if len(shapes) < len(inputs):
        return None
    return max(shapes, key=lambda shape: library.volume(shape) or 0, default=None)
