"""KLB201."""

import ast
import math
from collections.abc import Iterator

from kelbo.beta import explain_beta, format_beta
from kelbo.clinic.doctor.divergence import KL
from kelbo.clinic.doctor.objective import (
    Balance,
    Scale,
    Unsized,
    balances,
    batch_size,
    summed,
    terms,
    unsized,
)
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity

# A smaller factor before D may be a weight that is meant to cancel it: 1 / 784.
_LEAST = 0.1


class EffectiveBeta(Rule):
    """Averages, sums or a forgotten 0.5 give the KL term a weight that differs from the ELBO's.

    ## What it does
    Reads from the code how much the reconstruction loss of a pixel and the KL term of a latent
    dimension count, and computes the effective beta: the weight that the KL term really has, 1 in
    the ELBO. Reports a beta that averages and sums make much different from 1, and a missing 0.5 of
    the KL term. If the reconstruction is a mean over pixels whose number the script does not say,
    beta is given as a multiple of that number; if one of the two terms is summed over the batch, by
    the batch size. A mean squared error is taken for a Gaussian of unit variance, or, if beta is
    then 1, of variance 1/2. A weight between two sums is left alone.

    ## Why is this bad
    The ELBO sums over pixels and over latent dimensions. A mean over the one beside a sum over the
    other gives the KL term a weight that nobody chose. If it is too large, by the number of pixels,
    the posterior collapses; if it is too small, samples from the prior mean nothing.

    ## Example
    ```python
    # x: (batch, 784)
    reconstruction = ops.mean(keras.losses.binary_crossentropy(x, x_decoded))  # a mean
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    kl = -0.5 * ops.mean(ops.sum(kl, axis=-1))  # a sum: beta is 784
    ```

    ## Use instead
    ```python
    # x: (batch, 784)
    reconstruction = 784 * ops.mean(keras.losses.binary_crossentropy(x, x_decoded))
    kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
    kl = -0.5 * ops.mean(ops.sum(kl, axis=-1))
    ```
    """

    code = "KLB201"
    title = "The KL term has another weight than in the ELBO"
    severity = Severity.WARNING
    why = (
        "Every Keras computes what is written. The ELBO sums both terms over one datum and "
        "averages over the batch: a mean in place of a sum changes the weight of the KL term by "
        "the number of pixels or latent dimensions, and a sum over the batch by the batch size."
    )
    docs = "docs/kl-loss.md, rule 4"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every loss with both terms, and every KL term that a layer adds to a compiled loss."""
        for balance in balances(program):
            if math.isclose(balance.beta, 2.0) and _lacks_half(balance, program):
                yield self._of_forgotten_half(balance)
            elif _is_reduced_differently(balance) and not _is_of_half_variance(balance):
                if meaning := explain_beta(balance.beta):
                    yield self._of_reductions(balance, meaning)
        size = batch_size(program)
        for balance in summed(program):
            if size is not None or math.isclose(abs(balance.kl_factor), 0.5):
                yield from self._of_sum(balance, size)
        for unknown in unsized(program):
            if unknown.factor >= _LEAST:
                yield self._of_unsized(unknown)

    def _of_reductions(self, balance: Balance, meaning: str) -> Finding:
        pixel, latent, beta = balance.pixel, balance.latent, balance.beta
        cure = (
            f"the reconstruction by {format_beta(beta)}"
            if beta > 1.0
            else f"the KL term by {format_beta(1.0 / beta)}"
        )
        return self.finding(
            balance.node,
            f"The reconstruction is {_reduced(pixel, pixel.weight, 'pixels')}, the KL term is "
            f"{_reduced(latent, _weight(balance), 'latent dimensions')}: with the factors in the "
            f"script, the effective beta is {format_beta(beta)}. That is, {meaning}.",
            f"For the ELBO, beta 1, multiply {cure}; if this weight is intended, keep it.",
        )

    def _of_forgotten_half(self, balance: Balance) -> Finding:
        return self.finding(
            balance.node,
            f"{balance.kl_factor:+g} stands in front of the KL term's 1 + log_var - mu^2 - "
            "exp(log_var), where the ELBO has -0.5: the factor 0.5 is missing, and the effective "
            f"beta is 2. That is, {explain_beta(2.0)}.",
            "Write -0.5 there; if a weight of 2 is intended, keep it.",
        )

    def _of_sum(self, balance: Balance, size: int | None) -> Iterator[Finding]:
        of_kl = bool(balance.latent.batches)
        one, other = ("KL term", "reconstruction") if of_kl else ("reconstruction", "KL term")
        beta = "" if math.isclose(balance.beta, 1.0) else f"{_number(balance.beta)} times "
        grows = f"grows with the batch size: it is {beta}that size"
        shrinks = f"shrinks with the batch size: it is {_number(balance.beta)} divided by that size"
        what = f"beta {grows if of_kl else shrinks}"
        if size is not None:
            whole = balance.beta * size if of_kl else balance.beta / size
            meaning = explain_beta(whole)
            if not meaning:
                return
            what += f", {_number(whole)} with batches of {size}. That is, {meaning}"
        yield self.finding(
            balance.node,
            f"The {one} is summed over the batch, too, and the {other} is averaged over it: "
            f"{what}.",
            f"Sum the {one} over all axes but the batch, and take the mean over the batch: "
            "ops.mean(ops.sum(..., axis=-1)).",
        )

    def _of_unsized(self, terms: Unsized) -> Finding:
        latent = terms.latent
        beta = "D" if terms.factor == 1.0 else f"{format_beta(terms.factor)} D"
        counted = "with D the number of values in one datum"
        if latent is not None:
            kl = _reduced(latent, latent.weight, "latent dimensions")
        else:
            kl = "a mean over all latent dimensions"
            beta += " / d"
            counted += " and d that of latent dimensions"
        return self.finding(
            terms.node,
            f"The reconstruction is a mean over all pixels, the KL term is {kl}: with the factors "
            f"in the script, the effective beta is {beta}, {counted}.",
            f"For the ELBO, beta 1, multiply the reconstruction by {beta}; if this weight is "
            "intended, keep it.",
        )


def _number(beta: float) -> str:
    return f"{beta:,.0f}" if beta >= 1000.0 else format_beta(beta)


def _weight(balance: Balance) -> float:
    """How much the KL divergence of a latent dimension counts: 1 in a sum."""
    return -2.0 * balance.kl_factor / balance.latent.divided


def _is_reduced_differently(balance: Balance) -> bool:
    pixel = _divided(balance.pixel, balance.pixel.weight)
    return not math.isclose(pixel, _divided(balance.latent, _weight(balance)))


def _divided(scale: Scale, weight: float) -> float:
    """By how much a term is divided; by 1 if a factor turns its mean into a sum."""
    return 1.0 if math.isclose(weight, 1.0) else scale.divided


def _is_of_half_variance(balance: Balance) -> bool:
    """Whether it is the ELBO of a Gaussian of variance 1/2: -log p(x|z) is its squared error."""
    return balance.is_of_squares and math.isclose(balance.beta, 0.5)


def _lacks_half(balance: Balance, program: Program) -> bool:
    """Whether nothing halves a KL term: no number in its computation, and no later factor."""
    if not math.isclose(abs(balance.kl_factor), 1.0):
        return False
    kl = balance.kl.content
    for node, value in program.tensors:
        found = [term for term in terms(value.expression) if isinstance(term.content, KL)]
        factors = [
            term.factor * (term.content.factor or 0.0)  # type: ignore[union-attr]
            for term in found
            if _is_of(term.content, kl)
        ]
        if any(math.isclose(abs(factor), 0.5) for factor in factors):
            return False
        if factors and any(_is_half(part) for part in ast.walk(node)):
            return False
    return True


def _is_of(one: object, other: object) -> bool:
    """Whether two KL terms belong to one Gaussian."""
    same = isinstance(one, KL) and isinstance(other, KL)
    return same and (one.mean, one.log_var) == (other.mean, other.log_var)  # type: ignore


def _is_half(node: ast.AST) -> bool:
    """Whether a half is written there: 0.5, or a division by 2."""
    divides = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    number = node.right if divides else node  # type: ignore[attr-defined]
    return isinstance(number, ast.Constant) and number.value == (2 if divides else 0.5)


def _reduced(scale: Scale, weight: float, things: str) -> str:
    if math.isclose(weight, 1.0) or scale.divided == 1.0:
        return f"a sum over {scale.elements:,} {things}"
    if math.isclose(scale.divided, scale.elements):
        return f"a mean over {scale.elements:,} {things}"
    return f"a sum over {scale.elements:,} {things}, divided by {scale.divided:g}"
