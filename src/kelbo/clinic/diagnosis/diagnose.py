"""Diagnose a model from its own numbers."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np

from kelbo.clinic.diagnosis.collapse import check_collapse
from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.draw import check_draw
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.finding import Diagnosis, Finding, gravest_first
from kelbo.clinic.diagnosis.finite import check_finite, overflow
from kelbo.clinic.diagnosis.floor import check_elbo, check_floor
from kelbo.clinic.diagnosis.ignored_z import check_ignored_z
from kelbo.clinic.diagnosis.kl_weight import check_kl_weight
from kelbo.clinic.diagnosis.log_var import check_log_var
from kelbo.clinic.diagnosis.loss_weights import UnmeasuredError, measure_loss_weights
from kelbo.clinic.diagnosis.observation import Observation, observe
from kelbo.clinic.diagnosis.probabilities import check_probabilities
from kelbo.clinic.diagnosis.saturation import check_saturation
from kelbo.clinic.diagnosis.subject import Subject
from kelbo.clinic.diagnosis.support import check_support
from kelbo.clinic.diagnosis.training_steps import move_starts, tells_nothing
from kelbo.clinic.diagnosis.unchanged import unchanged
from kelbo.errors import DataError
from kelbo.support import REAL

Check = Callable[[Observation], Finding | None]

# Every model begins with a collapsed posterior and a poor reconstruction. These checks count after
# this many training steps, which is nearly an epoch of MNIST.
SETTLING_STEPS = 400
LEARNING_CHECKS: tuple[Check, ...] = (
    check_collapse,
    check_ignored_z,
    check_floor,
    check_saturation,
)
OTHER_CHECKS: tuple[Check, ...] = (check_kl_weight, check_log_var)
# Reported in place of the learning checks.
NOT_TRAINED = Finding(
    name="not-trained",
    severity="note",
    title="The model is not trained yet",
    meaning=(
        "Every weight that starts at a constant, such as a bias, still has that value. Collapse, "
        "an ignored z and a poor reconstruction are how every training begins, so nothing is said "
        "of them. The figures are those of the weights that the model starts with."
    ),
    cure="Train first, then diagnose again.",
)

_EARLY = "Train on first: this is after {steps}, and every model begins so."
_MAYBE_NOT_TRAINED = (
    "Train first, if the model is not trained: neither its optimiser nor its weights tell, and "
    "every model begins so."
)
_LOST = (
    "Look for a lost input first: no training leads there, for codes or reconstructions are equal "
    "to the last digit."
)
_WARM_UP = (
    "If the weight of the KL warms up from 0, diagnose again when it has risen; the model is not "
    "trained yet. If it does not:"
)

# The most data, which is enough for every figure, and the most values in one pass of a decoder.
_ROWS = 1000
_VALUES = 2**23


def diagnose(
    model: keras.Model | Subject,
    x: Any,
    y: Any = None,
    *,
    encoder: keras.Layer | None = None,
    decoder: keras.Layer | None = None,
    metrics: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Find what is wrong with a VAE: kelbo's, or any Keras 3 model that has mu and log_var.

    The model is left as it was, bit for bit. The weight of the KL in its loss is measured with one
    training step, which is undone (`kelbo.clinic.diagnosis.loss_weights`). Regularisers and losses
    that layers add are left out of that step: they are no part of the ELBO.

    Args:
        model: a VAE or an autoencoder, compiled as for training; or the result of
            `kelbo.read_model`.
        x: at least two data, (n, *data_shape), of which up to 1,000 are used. For a conditional
            VAE: the list, tuple or dictionary of arrays that `fit` takes as x.
        y: the target, where the model is trained with one, as in fit(x, x), or the targets of all
            its outputs; or the condition, where the model is trained as in fit(x, labels). What is
            read from a file needs no target if its only output is trained on x.
        encoder: a Keras model from x to mu and log_var, and perhaps z. Without it, kelbo takes the
            attribute or the layer of this name or a similar one, or the part of a functional model
            that leads to mu and log_var.
        decoder: a Keras model from z to x; found likewise.
        metrics: the columns of a metrics.csv, as `kelbo.runs.RunDirectory.read_metrics` returns
            them. They tell since which epoch the posterior has been collapsed.
        seed: for the draws of z.

    Returns:
        A diagnosis: print it, or read its `findings` and `figures`.

    Raises:
        UsageError: no encoder or decoder was found.
        DataError: x is not an array of at least two data that fit the model, or y has another
            length.
    """
    subject = subject_of(model, encoder, decoder, x)
    data = _rows(subject.data(x, y))
    kl_of_epochs = tuple((metrics or {}).get("kl", ()))
    with unchanged(subject):
        return _diagnose(subject, data, kl_of_epochs, seed)


def _diagnose(
    subject: Subject, data: Data, kl_of_epochs: tuple[float, ...], seed: int
) -> Diagnosis:
    shape = " x ".join(map(str, data.x.shape[1:]))
    diagnosis = partial(
        Diagnosis, f"{subject.name} on {len(data):,} data of {shape}", origin=subject.origin
    )
    # With values that are not finite, or a wrong q(z|x), no other figure means anything.
    finding = (
        check_support(data.x, "model", REAL)
        or check_finite(subject, data)
        or check_draw(subject, data)
    )
    if finding is not None:
        return diagnosis((finding,))
    data = _as_decoded(subject, data)
    weights, unmeasured = None, {}
    # If all likelihoods that the model may mean share one support, no training step is needed.
    supports = set(subject.supports.values())
    if len(supports) == 1:
        owner = subject.only_likelihood or "decoder that ends in a sigmoid"
        finding = check_support(data.target, owner, supports.pop())
        if finding is not None:
            return diagnosis((finding,))
    if subject.prior is not None:
        try:
            weights = measure_loss_weights(subject, data)
        except UnmeasuredError as reason:
            unmeasured["kl_weight"] = str(reason)
    likelihood = weights.likelihood if weights else subject.only_likelihood
    if likelihood is None:
        witness = "file" if subject.model is None else "loss"
        unmeasured["reconstruction"] = f"the {witness} does not show which p(x|z) it means"
    else:
        unfit = [
            finding
            for finding in (
                check_probabilities(subject, data, likelihood),
                check_support(data.target, likelihood, subject.supports[likelihood]),
            )
            if finding is not None
        ]
        if unfit:
            return diagnosis(gravest_first(unfit), unmeasured=unmeasured)
    observation = observe(subject, data, likelihood, weights, kl_of_epochs, seed)
    findings = examine(observation, OTHER_CHECKS)
    if not observation.is_finite:
        pass
    elif subject.training_steps == 0 and not _lost_for_good(subject, data, observation):
        findings = [*map(_before_training, findings), NOT_TRAINED]
    else:
        learnt = _examine_learnt(observation, findings)
        first = _advice_first(subject, observation)
        findings += learnt if first is None else _as_warnings(learnt, first)
    return diagnosis(gravest_first(findings), observation.figures, unmeasured)


def _lost_for_good(subject: Subject, data: Data, observation: Observation) -> bool:
    """Whether codes or reconstructions are constant, and stay so when the weights move.

    The kernel of a head may start at 0: then they are constant until the first step.
    """
    if not observation.is_constant:
        return False
    with unchanged(subject):
        move_starts(subject.parts)
        return observe(subject, data, None).is_constant


def _before_training(finding: Finding) -> Finding:
    """What a finding means before the first step, where a warm-up may hold the KL at 0."""
    if finding.name != "kl-does-not-reach-the-encoder":
        return finding
    return replace(finding, severity="warning", cure=f"{_WARM_UP} {finding.cure}")


def _advice_first(subject: Subject, observation: Observation) -> str | None:
    """What to try before all else in a model that has hardly been trained, or may not have been."""
    steps = subject.training_steps
    if steps is None:
        return _MAYBE_NOT_TRAINED if tells_nothing(steps, subject.parts) else None
    if steps >= SETTLING_STEPS:
        return None
    if not steps:
        return _LOST
    return _EARLY.format(steps=f"{steps} training step{'' if steps == 1 else 's'}")


def _as_warnings(findings: list[Finding], first: str) -> list[Finding]:
    """The findings without the notes, each a warning whose cure begins with other advice."""
    return [
        replace(finding, severity="warning", cure=f"{first} {finding.cure}")
        for finding in findings
        if finding.severity != "note"
    ]


def examine(observation: Observation, checks: Iterable[Check]) -> list[Finding]:
    """The findings of the checks; where figures are not finite, the finding that says why."""
    if not observation.is_finite:
        return [check_log_var(observation) or overflow(observation)]
    return [found for check in checks if (found := check(observation)) is not None]


def _examine_learnt(observation: Observation, findings: Sequence[Finding]) -> list[Finding]:
    """The findings of the learning checks, and a poor ELBO that no other finding explains."""
    learnt = examine(observation, LEARNING_CHECKS)
    explained = [
        one
        for one in (*findings, *learnt)
        if one.severity != "note" and one.name != "effective-beta"
    ]
    return learnt if explained else learnt + examine(observation, (check_elbo,))


def _rows(data: Data) -> Data:
    """The data that are used: at most `_ROWS`, evenly spread over all."""
    sizes = [array[0].size for array in (data.x, data.target, *data.conditions)]
    count = max(2, min(len(data), _ROWS, _VALUES // max(sizes)))
    return data.take(np.linspace(0, len(data) - 1, count).astype(int))


def _as_decoded(subject: Subject, data: Data) -> Data:
    """The data with the target in the shape of p(x|z), which may be flat where x is not."""
    shape = subject.event_shape
    if shape is None:
        few = data.take(slice(2))
        mu, _ = subject.encode(few.x, few.conditions)
        shape = keras.tree.flatten(subject.decode(mu, few.conditions))[0].shape[1:]
    target = data.target
    if math.prod(shape) != target[0].size:
        raise DataError(
            f"The decoder gives data of shape {shape}, but the target has {target.shape[1:]}. "
            "Pass as y what the model is trained to reconstruct."
        )
    return replace(data, target=target.reshape(len(target), *shape))
