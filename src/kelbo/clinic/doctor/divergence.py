"""Recognises the KL divergence of N(mu, sigma^2) from N(0, 1) in a script's arithmetic.

With L = log sigma^2 it is in each latent dimension

    KL_j = -0.5 (1 + L - mu^2 - e^L)

(Kingma and Welling, 2014, appendix B). Forms that come close to it and are wrong are told apart.
"""

import math
from dataclasses import dataclass

from kelbo.clinic.doctor.expressions import Atom, Expression, Operation


@dataclass(frozen=True)
class KL:
    """A KL term: 1 + L - mu^2 - e^L, times a number.

    Args:
        mean: mu.
        log_var: L.
        factor: the number; None if the formula differs from this one.
        mistake: what is wrong with it; empty if nothing is.
    """

    mean: Expression
    log_var: Expression
    factor: float | None
    mistake: str = ""


def match_kl(expression: Expression) -> KL | None:
    """The KL term that an expression is; None if it is something else."""
    if len(expression.terms) < 3:
        return None
    constant = 0.0
    exponentials: list[tuple[float, Expression]] = []
    squares: list[tuple[float, Expression]] = []
    others: list[tuple[float, Atom]] = []
    for coefficient, atoms in expression.terms:
        if not atoms:
            constant = coefficient
        elif len(atoms) != 1:
            return None
        elif isinstance(atoms[0], Operation) and atoms[0].name in ("exp", "square"):
            kind = exponentials if atoms[0].name == "exp" else squares
            kind.append((coefficient, atoms[0].argument))
        else:
            others.append((coefficient, atoms[0]))
    if len(exponentials) == 1 and len(squares) <= 1 and 1 <= len(others) <= 2:
        return _of_log_var(constant, exponentials[0], squares, others)
    if not exponentials and len(squares) == 2 and len(others) == 1:
        return _of_sigma(constant, squares, others[0])
    return None


def _of_log_var(
    constant: float,
    exponential: tuple[float, Expression],
    squares: list[tuple[float, Expression]],
    others: list[tuple[float, Atom]],
) -> KL | None:
    factor, log_var = -exponential[0], exponential[1]
    if len(log_var.terms) != 1:
        return None
    scale, source = log_var.terms[0]
    linear = [coefficient for coefficient, atom in others if (atom,) == source]
    if len(linear) != 1:
        return None
    rest = [(coefficient, atom) for coefficient, atom in others if (atom,) != source]
    sizes = {abs(factor), abs(constant), abs(linear[0])}
    if not squares and len(rest) == 1 and sizes == {abs(rest[0][0])}:
        mean = Expression(((1.0, (rest[0][1],)),))
        return KL(mean, log_var, None, "the mean is not squared")
    if len(squares) != 1 or rest:
        return None
    return _judge(constant, factor, squares[0], log_var, linear[0], scale)


def _of_sigma(
    constant: float, squares: list[tuple[float, Expression]], other: tuple[float, Atom]
) -> KL | None:
    coefficient, atom = other
    if not isinstance(atom, Operation) or atom.name != "log":
        return None
    sigmas = [square for square in squares if square[1] == atom.argument]
    means = [square for square in squares if square[1] != atom.argument]
    if len(sigmas) != 1 or len(means) != 1:
        return None
    log_var = Expression(((2.0, (atom,)),))
    return _judge(constant, -sigmas[0][0], means[0], log_var, coefficient, 2.0)


def _judge(
    constant: float,
    factor: float,
    square: tuple[float, Expression],
    log_var: Expression,
    linear: float,
    scale: float,
) -> KL | None:
    """Judge whether the parts fit factor (1 + L - mu^2 - e^L), where L = scale * source."""
    squared, mean = square

    def kl(mistake: str = "") -> KL:
        return KL(mean, log_var, None if mistake else factor, mistake)

    if math.isclose(linear, factor * scale) and math.isclose(squared, -factor):
        return kl()
    if squared * factor > 0:
        fits = linear * scale * squared < 0
        return kl(f"{'exp(log_var)' if fits else 'mu^2'} has the wrong sign")
    if linear * scale * factor < 0:
        return kl("log_var has the wrong sign")
    if math.isclose(squared, -factor) and math.isclose(constant, factor):
        return kl("the variance in it is not the exponential of the log-variance in it")
    return None  # perhaps the KL from another prior
