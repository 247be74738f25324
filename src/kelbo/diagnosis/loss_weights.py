"""How much reconstruction and KL count in the loss that a model really trains on: measured.

    loss = reconstruction_weight * -E_q[log p(x|z)] + kl_weight * KL(q(z|x) || p(z))

Whatever the code of a model looks like, what it trains is the gradient of one step. Where log_var
is so small that z equals mu to the last digit, the reconstruction does not depend on log_var at all
and d KL / d log_var = -1/2: the gradient that arrives at log_var's bias there is the KL's alone,
whatever noise is drawn. And no KL arrives at the decoder: its gradient is the reconstruction's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.diagnosis.data import Data
from kelbo.diagnosis.probabilities import bring_between_0_and_1
from kelbo.diagnosis.subject import Subject
from kelbo.diagnosis.unchanged import in_float32, unchanged

# A power of two divides exactly; one so large that the step dwarfs the rounding of the weights.
_LEARNING_RATE = 2.0**20
# Data in the training step.
_ROWS = 64
# log_var there, from the best to what a clip in the encoder may leave.
_LEVELS = (-60.0, -30.0, -20.0)
# Relative to the reconstruction's, what the rounding of the weights leaves of a gradient.
_ROUNDING = 1e-9
# Of the length of a weight: a step of the difference quotient, and one for networks that bend much.
_STEPS = (2.0**-8, 2.0**-11)
# Where the loss rises along a slope otherwise than it falls against it, by more than this part of
# the whole gradient, there may be a kink, as of ReLUs at 0: the gradient is one of both and not
# their mean. Then it is tried without such slopes, too.
_KINK = 0.005
# As many slopes must be left to tell a proportion from chance.
_FEWEST_SLOPES = 3
# A reconstruction fits if it explains all but this part of the decoder's gradient. Of the tests'
# models the right one left 5e-4 at most, and a wrong one 7e-3 at least.
_TOLERANCE = 0.002

# A weight, and the gradient that arrives at it.
Slope = tuple[keras.Variable, np.ndarray]


@dataclass(frozen=True)
class LossWeights:
    """What was measured.

    Attributes:
        likelihood: the p(x|z) whose log is in the loss, by its name in `Subject.likelihoods`.
        reconstruction: the weight of -E_q[log p(x|z)] in nats, averaged over the batch.
        kl: the weight of the KL in nats, averaged over the batch, as it arrives at log_var.
        smallest_beta: an effective beta below this cannot be told from none.
    """

    likelihood: str
    reconstruction: float
    kl: float
    smallest_beta: float

    @property
    def effective_beta(self) -> float:
        """The weight of the KL against the ELBO's."""
        return self.kl / self.reconstruction


class UnmeasuredError(Exception):
    """Why the weights could not be measured: a sentence without its full stop."""


class NoSlopeError(UnmeasuredError):
    """The decoder's gradient is none, or that of no likelihood."""


def measure_loss_weights(subject: Subject, data: Data) -> LossWeights:
    """Take one training step, in float32, read the gradient off it, and put everything back.

    Args:
        subject: a VAE.
        data: the first 64 are trained on; their target in the shape that the decoder gives.

    Raises:
        UnmeasuredError: the model cannot be trained, or its parts are not of the kind that tells.
    """
    if subject.model is None:
        raise UnmeasuredError(
            "the code of the loss is not in the file, and the effective beta with it; "
            "kelbo.diagnose(model, x) measures both in a program that has the code"
        )
    if not subject.model.compiled:
        raise UnmeasuredError("the model is not compiled; compile it as for training")
    data = data.take(slice(_ROWS))
    with unchanged(subject), in_float32(subject):
        head = _find_log_var_bias(subject, data)
        try:
            return _measure_step(subject, head, data)
        except NoSlopeError:
            # A cross-entropy of what is no probability is clipped, and has no slope there.
            if not bring_between_0_and_1(subject, data):
                raise
        return _measure_step(subject, head, data)


@dataclass(frozen=True)
class _Head:
    """The bias of log_var, lowered until z equals mu.

    Attributes:
        bias: the variable.
        places: those of its values that are added to log_var, where another half is mu's.
        slope: how much log_var moves with it: 1, or 2 of a log sigma.
        uses: how many values of log_var each is added to: 1, or the positions of an image.
        level: log_var there.
    """

    bias: keras.Variable
    places: slice
    slope: float
    uses: int
    level: float


def _measure_step(subject: Subject, head: _Head, data: Data) -> LossWeights:
    """What one training step shows; the weights of the networks are put back after it."""
    weights = [weight for part in subject.parts for weight in part.trainable_weights]
    before, gradient = _gradient(subject.model, [head.bias, *weights], data)
    for weight, value in zip(weights, before[1:], strict=True):
        weight.assign(value)
    of_decoder = {id(weight) for weight in subject.decoder.trainable_weights}
    slopes = [
        half
        for weight, slope in zip(weights, gradient[1:], strict=True)
        if id(weight) in of_decoder
        for half in _halves(weight, slope)
    ]
    if not slopes:
        raise NoSlopeError("no gradient arrives at the decoder")
    likelihood, reconstruction = _fit_reconstruction(subject, slopes, data)
    # What is left of the noise in z, and with it of the reconstruction's own gradient there.
    noise = 2.0 * math.exp(0.5 * head.level)
    kl = -2.0 * float(np.mean(gradient[0][head.places])) / (head.slope * head.uses)
    return LossWeights(likelihood, reconstruction, kl, max(_ROUNDING, noise))


def _find_log_var_bias(subject: Subject, data: Data) -> _Head:
    """The bias of log_var, known by its effect: log_var moves with it, and mu does not move."""
    mu, log_var = subject.encode(data.x, data.conditions, training=True)
    if log_var is None:
        raise UnmeasuredError("an autoencoder has no KL")
    for head in _heads(subject, mu.shape[1:]):
        value = np.array(ops.convert_to_numpy(head.bias), copy=True)
        shift = head.level - float(log_var.max())
        lowered = value.copy()
        lowered[head.places] += shift / head.slope
        head.bias.assign(lowered)
        mu_there, log_var_there = subject.encode(data.x, data.conditions, training=True)
        moves = log_var_there is not None and np.allclose(log_var_there, log_var + shift, atol=0.01)
        if moves and np.allclose(mu_there, mu, rtol=1e-4, atol=1e-4):
            return head
        head.bias.assign(value)
    raise UnmeasuredError(
        "log_var does not follow the bias of any layer; a Dense layer without activation does"
    )


def _heads(subject: Subject, latent_shape: tuple[int, ...]) -> Iterator[_Head]:
    """What may be the bias of log_var, or of log sigma; of both mu and it, in one of the halves."""
    *positions, channels = latent_shape
    halves = (slice(channels, None), slice(channels))
    for bias in subject.weights:
        places = {(channels,): (slice(None),), (2 * channels,): halves}
        for where in places.get(tuple(bias.shape), ()):
            for slope in (1.0, 2.0):
                for level in _LEVELS:
                    yield _Head(bias, where, slope, math.prod(positions), level)


def _gradient(
    model: keras.Model, weights: list[keras.Variable], data: Data
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights before a training step of the model, and the gradient that it took."""
    before = [np.array(ops.convert_to_numpy(weight), copy=True) for weight in weights]
    model.optimizer = keras.optimizers.SGD(_LEARNING_RATE)
    model.optimizer.build(model.trainable_variables)
    model.train_function = None
    try:
        # Not train_on_batch, which hands data to a train_step in another form. Not the model's own
        # fit either, which may do more than train.
        keras.Model.fit(model, data.given, data.y, batch_size=len(data), shuffle=False, verbose=0)
    except Exception as error:  # whatever a model of the user's may raise
        reason = " ".join(str(error).split())[:200]
        cure = "" if data.y is not None else "; if it is trained as fit(x, x), pass y=x"
        raise UnmeasuredError(
            f"its training step fails with {type(error).__name__}: {reason}{cure}"
        ) from error
    after = [ops.convert_to_numpy(weight).astype("float64") for weight in weights]
    return before, [(a - b) / _LEARNING_RATE for a, b in zip(before, after, strict=True)]


def _halves(weight: keras.Variable, gradient: np.ndarray) -> list[Slope]:
    """The gradient in one half of a weight's entries, drawn at random, and in the other."""
    chosen = np.random.default_rng(0).random(gradient.shape) < 0.5
    halves = np.where(chosen, gradient, 0.0), np.where(chosen, 0.0, gradient)
    return [(weight, half) for half in halves if np.any(half)]


def _fit_reconstruction(subject: Subject, slopes: list[Slope], data: Data) -> tuple[str, float]:
    """The likelihood that explains the decoder's gradient, and the weight of its logarithm.

    Along a part of its own gradient the loss rises by the length of that part. Of the right
    reconstruction the rise is in the same proportion along every part.
    """
    for step in _STEPS:
        fits = _fits(subject, slopes, data, step)
        error, name, weight = min(fits, default=(np.inf, "", 0.0))
        if error < _TOLERANCE:
            return name, weight
    raise NoSlopeError(
        "the decoder's gradient is not that of a cross-entropy or a squared error alone; "
        "dropout, regularisers, other losses and weights in bfloat16 are reasons"
    )


def _fits(
    subject: Subject, slopes: list[Slope], data: Data, step: float
) -> Iterator[tuple[float, str, float]]:
    """The part of the gradient that each likelihood leaves unexplained, its name and its weight."""
    rises = np.array([np.linalg.norm(slope) for _, slope in slopes])
    # A model whose call does not pass `training` on trains its layers as in inference. This comes
    # first: the other way moves the means of a batch normalisation.
    for training in (False, True):
        z, _ = subject.encode(data.x, data.conditions, training)
        derivatives = [_derivatives(subject, slope, z, data, training, step) for slope in slopes]
        for name in subject.likelihoods:
            derivative, bend = np.array([along_slope[name] for along_slope in derivatives]).T
            if not np.isfinite(derivative).all() or not derivative.any():
                continue
            smooth = np.abs(bend) <= _KINK * np.linalg.norm(derivative)
            for chosen in (np.ones_like(smooth), smooth):
                if chosen is smooth and smooth.sum() < _FEWEST_SLOPES:
                    continue
                found, expected = rises[chosen], derivative[chosen]
                weight = float(found @ expected / (expected @ expected))
                error = np.linalg.norm(found - weight * expected) / np.linalg.norm(found)
                yield float(error), name, weight


def _derivatives(
    subject: Subject, slope: Slope, z: np.ndarray, data: Data, training: bool, step: float
) -> dict[str, tuple[float, float]]:
    """Of -log p(x|z) along a slope, for each likelihood: its derivative, and by how much that is
    larger ahead than behind.
    """
    weight, gradient = slope
    value = np.array(ops.convert_to_numpy(weight), copy=True)
    direction = gradient / np.linalg.norm(gradient)
    step *= max(float(np.linalg.norm(value)), 1.0)
    places = []
    for sign in (1.0, 0.0, -1.0):
        weight.assign((value + sign * step * direction).astype(value.dtype))
        outputs = subject.decode(z, data.conditions, training)
        places.append(
            {
                name: -float(np.mean(log_prob(make(outputs), data.target)))
                for name, make in subject.likelihoods.items()
            }
        )
    weight.assign(value)
    ahead, here, behind = places
    return {
        name: (
            (ahead[name] - behind[name]) / (2.0 * step),
            (ahead[name] - 2.0 * here[name] + behind[name]) / step,
        )
        for name in here
    }


def log_prob(p: Any, x: np.ndarray) -> np.ndarray:
    """log p(x|z) of each datum in nats, (n,), summed in float64."""
    per_dimension = ops.convert_to_numpy(p.log_prob_per_dimension(x))
    return per_dimension.reshape(len(x), -1).sum(axis=1, dtype="float64")
