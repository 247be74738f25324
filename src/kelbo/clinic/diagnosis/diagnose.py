"""What is wrong with a model, as its own numbers show."""

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
from kelbo.clinic.diagnosis.subject import Subject, subject_of
from kelbo.clinic.diagnosis.support import check_support
from kelbo.clinic.diagnosis.unchanged import unchanged
from kelbo.errors import DataError
from kelbo.support import REAL

Check = Callable[[Observation], Finding | None]

# What an untrained model would set off too, until it has taken this many training steps: nearly an
# epoch of MNIST.
SETTLING_STEPS = 400
LEARNING_CHECKS: tuple[Check, ...] = (
    check_collapse,
    check_ignored_z,
    check_floor,
    check_saturation,
)
OTHER_CHECKS: tuple[Check, ...] = (check_kl_weight, check_log_var)

# As many data as the figures need, and as fit into memory in one pass of a decoder.
_ROWS = 1000
_VALUES = 2**23


def diagnose(
    model: keras.Model | Subject,
    x: Any,
    y: np.ndarray | None = None,
    *,
    encoder: keras.Layer | None = None,
    decoder: keras.Layer | None = None,
    metrics: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Say what is wrong with a VAE: kelbo's, or any Keras 3 model that has mu and log_var.

    The model is left as it was, bit for bit: how much the KL counts is read off one training step,
    which is taken back (`kelbo.clinic.diagnosis.loss_weights`).

    Args:
        model: a VAE or an autoencoder, compiled as for training; or what `kelbo.read_model` reads
            of a file.
        x: data, (n, *data_shape), at least two; up to 1,000 are looked at. Of a conditional VAE
            the list, tuple or dictionary of arrays that `fit` takes as x.
        y: the target, where the model is trained with one, as in fit(x, x); or the condition, where
            it is trained as fit(x, labels).
        encoder: a Keras model from x to mu and log_var, and perhaps z, where it is not found: it is
            the attribute or the layer of this name or one like it, or the part of a functional
            model that leads to mu and log_var.
        decoder: a Keras model from z to x, likewise.
        metrics: columns of a metrics.csv, as `kelbo.runs.RunDirectory.read_metrics` gives them, to
            say since when.
        seed: of the draws of z.

    Returns:
        A diagnosis: print it, or read its `findings` and `figures`.

    Raises:
        UsageError: the model has no encoder or decoder that can be found.
        DataError: x is no array of at least two data that fit the model, or y has another length.
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
    # What is not finite leaves nothing else to measure, nor does a q(z|x) that is another.
    finding = (
        check_support(data.x, "model", REAL)
        or check_finite(subject, data)
        or check_draw(subject, data)
    )
    if finding is not None:
        return diagnosis((finding,))
    data = _as_decoded(subject, data)
    weights, unmeasured = None, {}
    # Where every likelihood that the model may mean has one support, it is known before training.
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
    if observation.is_finite:
        learnt = _examine_learnt(observation, findings)
        findings += _unless_early(learnt, subject.training_steps)
    return diagnosis(gravest_first(findings), observation.figures, unmeasured)


def _unless_early(findings: list[Finding], training_steps: int | None) -> list[Finding]:
    """The findings as they are; where the model has hardly been trained as warnings, no notes."""
    if training_steps is None or training_steps >= SETTLING_STEPS:
        return findings
    steps = f"{training_steps} training step{'' if training_steps == 1 else 's'}"
    return [
        replace(
            finding,
            severity="warning",
            cure=f"Train on first: this is after {steps}, and every model begins so. "
            f"{finding.cure}",
        )
        for finding in findings
        if finding.severity != "note"
    ]


def examine(observation: Observation, checks: Iterable[Check]) -> list[Finding]:
    """What the checks find; of figures that are not finite, why they are not."""
    if not observation.is_finite:
        return [check_log_var(observation) or overflow(observation)]
    return [found for check in checks if (found := check(observation)) is not None]


def _examine_learnt(observation: Observation, findings: Sequence[Finding]) -> list[Finding]:
    """What was learnt too little of; a poor ELBO where no other finding explains it."""
    learnt = examine(observation, LEARNING_CHECKS)
    explained = [
        one
        for one in (*findings, *learnt)
        if one.severity != "note" and one.name != "effective-beta"
    ]
    return learnt if explained else learnt + examine(observation, (check_elbo,))


def _rows(data: Data) -> Data:
    """As many data as are looked at, evenly spread over all of them."""
    sizes = [array[0].size for array in (data.x, data.target, *data.conditions)]
    count = max(2, min(len(data), _ROWS, _VALUES // max(sizes)))
    return data.take(np.linspace(0, len(data) - 1, count).astype(int))


def _as_decoded(subject: Subject, data: Data) -> Data:
    """With the target in the shape that the decoder gives, which may be flat where x is not."""
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
