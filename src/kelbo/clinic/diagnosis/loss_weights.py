"""Measure the weights of reconstruction and KL in the loss that a model really trains on.

    loss = reconstruction_weight * -E_q[log p(x|z)] + kl_weight * KL(q(z|x) || p(z))

Whatever its code looks like, a model trains on the gradient of one step. If log_var is so small
that z equals mu to the last digit, the reconstruction does not depend on log_var, and
d KL / d log_var = -1/2. Then the gradient of log_var's bias comes from the KL alone, whatever noise
is drawn. The gradient of the decoder's weights comes from the reconstruction alone.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import keras
import numpy as np
from keras import ops

from kelbo.clinic.diagnosis.data import Data
from kelbo.clinic.diagnosis.log_prob import log_prob
from kelbo.clinic.diagnosis.penalties import penalties_left_out
from kelbo.clinic.diagnosis.probabilities import kernel_and_bias, spread_between_0_and_1
from kelbo.clinic.diagnosis.subject import PriorOf, Subject
from kelbo.clinic.diagnosis.unchanged import in_float32, state_kept, unchanged

# A power of two, which divides exactly, and so large that the step dwarfs the weights' rounding.
_LEARNING_RATE = 2.0**20
# Data in the training step.
_ROWS = 64
# The levels of log_var to try: the best first, then those that a clip in the encoder may leave.
# The last is set by the bias alone, with a kernel of 0, so that no value lies below the usual clip
# at -20.
_LEVELS = (-60.0, -30.0, -20.0)
_LEVEL_OF_BIAS = -19.5
# The part of a gradient that the rounding of the weights may hide.
_ROUNDING = 1e-9
# The step of the difference quotient, relative to the length of the weights; and a smaller one for
# networks that bend more.
_STEPS = (2.0**-8, 2.0**-11)
# At a kink, such as that of a ReLU at 0, the loss changes at one rate ahead and at another behind.
# The gradient is then one of the two rates and not their mean. Slopes whose rates differ by more
# than this part of the gradient's length are left out in a second attempt.
_KINK = 0.005
# Fewer slopes do not tell a proportion from chance.
_FEWEST_SLOPES = 3
# The most parts of the decoder with slopes of their own.
_PARTS = 8
# A reconstruction fits if it explains all but this part of the decoder's gradient. In the tests the
# right one leaves 5e-4 at most, and a wrong one 7e-3 at least.
_TOLERANCE = 0.002
# It must also fit so many times better than any other.
_BETTER = 4.0

# Pairs of a weight and its gradient.
Slope = list[tuple[keras.Variable, np.ndarray]]


@dataclass(frozen=True)
class LossWeights:
    """The measured weights.

    Attributes:
        likelihood: the p(x|z) in the loss, by its name in `Subject.likelihoods`.
        reconstruction: the weight of -E_q[log p(x|z)], in nats and averaged over the batch.
        kl: the weight of the KL, in nats and averaged over the batch, in the gradient of log_var.
        smallest_beta: a smaller effective beta cannot be told from 0.
    """

    likelihood: str
    reconstruction: float
    kl: float
    smallest_beta: float

    @property
    def effective_beta(self) -> float:
        """The weight of the KL relative to that of the reconstruction, which is 1 in the ELBO."""
        return self.kl / self.reconstruction


class UnmeasuredError(Exception):
    """The reason why the weights could not be measured: a sentence without its full stop."""


class UnfitError(UnmeasuredError):
    """The decoder's gradient is 0, or not that of one likelihood alone."""


def measure_loss_weights(subject: Subject, data: Data) -> LossWeights:
    """Take one training step in float32, read off its gradient, and restore everything.

    Args:
        subject: a VAE.
        data: the first 64 are used; the target has the shape of the decoder's output.

    Raises:
        UnmeasuredError: the model cannot be trained, or its gradient does not tell.
    """
    if subject.model is None:
        raise UnmeasuredError(
            f"{subject.hidden_loss}; kelbo.diagnose(model, x) measures the weights of the loss and "
            "the effective beta in the program that made the file"
        )
    if subject.q is not None:
        raise UnmeasuredError(
            "q(z|x) is not normal with a log_var of its own; the effective beta is the one that "
            "the objective states"
        )
    if not subject.model.compiled:
        raise UnmeasuredError("the model is not compiled; compile it as for training")
    coarse = {str(weight.dtype) for weight in subject.weights} - {"float32", "float64"}
    if coarse:
        raise UnmeasuredError(
            f"the weights are {' and '.join(sorted(coarse))}, too coarse to read a gradient off"
        )
    data = data.take(slice(_ROWS))
    if subject.is_read and data.y is None:
        outputs = subject.model.output_names
        if len(outputs) > 1:
            raise UnmeasuredError(
                f"the loss takes a target for each of the outputs {', '.join(outputs)}, which the "
                "file does not hold; kelbo.diagnose(kelbo.read_model(path), x, y=[x, ...]) takes "
                "them in this order"
            )
        data = replace(data, y=data.target)
    with unchanged(subject), in_float32(subject), penalties_left_out(subject):
        head = _find_log_var_bias(subject, data)
        if subject.prior is not None:
            _check_prior(subject, subject.prior, head, data)
        try:
            return _measure_step(subject, subject.model, head, data)
        except UnfitError:
            # Outside [0, 1] a cross-entropy is clipped and has no slope. If all probabilities are
            # alike, its gradient is proportional to that of a squared error.
            if not spread_between_0_and_1(subject, data):
                raise
        return _measure_step(subject, subject.model, head, data)


@dataclass(frozen=True)
class _Head:
    """A bias that lowers log_var until z equals mu.

    Attributes:
        bias: the variable.
        kernel: the kernel of the same layer, if it is set to 0; else empty.
        places: the values of the bias that belong to log_var; others may belong to mu.
        slope: d log_var / d bias: 1, or 2 for the bias of log sigma.
        uses: the number of values of log_var that each value of the bias is added to: 1, or the
            number of positions of an image.
        level: the value of log_var to reach.
    """

    bias: keras.Variable
    kernel: tuple[keras.Variable, ...]
    places: slice
    slope: float
    uses: int
    level: float


def _measure_step(subject: Subject, model: keras.Model, head: _Head, data: Data) -> LossWeights:
    """Take one training step and measure; the weights of the networks are restored."""
    weights = [weight for part in subject.parts for weight in part.trainable_weights]
    weights = [head.bias, *weights]
    before, gradient = _gradient(subject, model, weights, data)
    _assign(weights, before)
    of_decoder = {id(weight) for weight in subject.decoder.trainable_weights}
    arrived = [
        (weight, slope)
        for weight, slope in zip(weights, gradient, strict=True)
        if id(weight) in of_decoder and np.any(slope)
    ]
    slopes = [half for part in _in_parts(arrived) for half in _halves(part)]
    if not slopes:
        raise UnfitError("no gradient arrives at the decoder")
    likelihood, reconstruction = _fit_reconstruction(subject, slopes, data)
    # A bound on the noise left in z, and with it on the reconstruction's gradient in log_var.
    noise = 2.0 * math.exp(0.5 * head.level)
    kl = -2.0 * float(np.mean(gradient[0][head.places])) / (head.slope * head.uses)
    return LossWeights(likelihood, reconstruction, kl, max(_ROUNDING, noise))


def _find_log_var_bias(subject: Subject, data: Data) -> _Head:
    """Find the bias of log_var by its effect: log_var moves with it, and mu stays."""
    mu, log_var = _encode(subject, data)
    if log_var is None:
        raise UnmeasuredError("an autoencoder has no KL")
    if not np.array_equal(mu, _encode(subject, data)[0]):
        raise UnmeasuredError(
            "mu differs from pass to pass in training; on PyTorch a dropout without a seed is a "
            "reason"
        )
    for head in _heads(subject, mu.shape[1:]):
        changed = [head.bias, *head.kernel]
        values = [np.array(ops.convert_to_numpy(weight), copy=True) for weight in changed]
        lowered = [value.copy() for value in values]
        if head.kernel:
            lowered[0][head.places] = head.level / head.slope
            lowered[1][..., head.places] = 0.0
            expected = np.full_like(log_var, head.level)
        else:
            expected = log_var + (head.level - float(log_var.max()))
            lowered[0][head.places] += (expected - log_var).flat[0] / head.slope
        _assign(changed, lowered)
        mu_there, log_var_there = _encode(subject, data)
        moves = log_var_there is not None and np.allclose(log_var_there, expected, atol=0.01)
        if moves and np.allclose(mu_there, mu, rtol=1e-4, atol=1e-4):
            return head
        _assign(changed, values)
    raise UnmeasuredError(
        f"no bias was found that lowers log_var to {_LEVEL_OF_BIAS:g} and leaves mu alone, such as "
        "that of a Dense layer without activation; a narrower bound on log_var is a reason"
    )


def _check_prior(subject: Subject, prior: PriorOf, head: _Head, data: Data) -> None:
    """Check that p(z) does not move with log_var's bias, as a VampPrior does.

    Raises:
        UnmeasuredError: it does; then d KL / d log_var is not -1/2.
    """
    mu, _ = _encode(subject, data)
    lowered = np.array(ops.convert_to_numpy(head.bias), copy=True)
    log_probs = []
    for step in (0.0, 1.0):
        head.bias.assign(lowered + step)
        log_probs.append(ops.convert_to_numpy(prior(data.x, data.conditions).log_prob(mu)))
    head.bias.assign(lowered)
    if not np.array_equal(*log_probs):
        raise UnmeasuredError(
            "the prior is made of the posterior, so the bias of log_var moves both; the effective "
            "beta is the one that the objective states"
        )


def _heads(subject: Subject, latent_shape: tuple[int, ...]) -> Iterator[_Head]:
    """Candidates: each bias of the right size, whole or one half, for log_var or log sigma."""
    *positions, channels = latent_shape
    uses, halves = math.prod(positions), (slice(channels, None), slice(channels))
    places = {(channels,): (slice(None),), (2 * channels,): halves}
    for bias in subject.weights:
        for where in places.get(tuple(bias.shape), ()):
            for slope in (1.0, 2.0):
                for level in _LEVELS:
                    yield _Head(bias, (), where, slope, uses, level)
    for kernel, bias in filter(None, map(kernel_and_bias, subject.layers)):
        for where in places.get(tuple(bias.shape), ()):
            for slope in (1.0, 2.0):
                yield _Head(bias, (kernel,), where, slope, uses, _LEVEL_OF_BIAS)


def _gradient(
    subject: Subject, model: keras.Model, weights: list[keras.Variable], data: Data
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights before one training step of the model, and the gradient of that step."""
    before = [np.array(ops.convert_to_numpy(weight), copy=True) for weight in weights]
    model.optimizer = keras.optimizers.SGD(_LEARNING_RATE)
    model.optimizer.build(model.trainable_variables)
    model.train_function = None
    try:
        # train_on_batch hands data to train_step in another form, and the model's own fit may do
        # more than train.
        with state_kept(subject):
            keras.Model.fit(
                model, data.given, data.y, batch_size=len(data), shuffle=False, verbose=0
            )
    except Exception as error:  # the user's code may raise anything
        reason = " ".join(str(error).split())[:200]
        cure = "" if data.y is not None else "; if it is trained as fit(x, x), pass y=x"
        raise UnmeasuredError(
            f"its training step fails with {type(error).__name__}: {reason}{cure}"
        ) from error
    if not int(model.optimizer.iterations):
        raise UnmeasuredError("its training step does not use the optimiser of compile")
    after = [ops.convert_to_numpy(weight).astype("float64") for weight in weights]
    gradient = [(a - b) / _LEARNING_RATE for a, b in zip(before, after, strict=True)]
    if not all(np.isfinite(one).all() for one in gradient):
        raise UnmeasuredError("the gradient of its training step is not finite")
    return before, gradient


def _in_parts(arrived: Slope) -> list[Slope]:
    """The decoder's weights, in order, divided into at most `_PARTS` parts."""
    count = min(len(arrived), _PARTS)
    bounds = [len(arrived) * n // count for n in range(count + 1)] if count else []
    return [arrived[start:end] for start, end in pairwise(bounds)]


def _halves(part: Slope) -> list[Slope]:
    """The gradient on a random half of its entries, and on the other half."""
    generator = np.random.default_rng(0)
    chosen = [generator.random(gradient.shape) < 0.5 for _, gradient in part]
    halves = [
        [(weight, np.where(places == half, gradient, 0.0)) for (weight, gradient), places in pairs]
        for half in (True, False)
        for pairs in [zip(part, chosen, strict=True)]
    ]
    return [half for half in halves if _length(half)]


def _length(slope: Slope) -> float:
    return math.sqrt(sum(float(np.sum(np.square(gradient))) for _, gradient in slope))


def _fit_reconstruction(subject: Subject, slopes: list[Slope], data: Data) -> tuple[str, float]:
    """The likelihood that explains the decoder's gradient, and its weight in the loss.

    Along a part of its gradient the loss rises at the rate of that part's length. The rates of the
    right -log p(x|z) are in one proportion to these, whatever the part.
    """
    # If call does not hand `training` on, layers train as in inference.
    for step, training in itertools.product(_STEPS, (False, True)):
        fits = _fits(subject, slopes, data, step, training)
        error, name, weight = min(fits, default=(np.inf, "", 0.0))
        if error < _TOLERANCE:
            others = [other for other, of, _ in fits if of != name]
            if min(others, default=np.inf) < max(_TOLERANCE, _BETTER * error):
                raise UnfitError(
                    "more than one likelihood explains the decoder's gradient; if its outputs are "
                    "all alike, train on first"
                )
            return name, weight
    raise UnfitError(
        "the decoder's gradient is not that of a cross-entropy or a squared error alone; "
        "regularisers, other losses and a decoder with noise of its own are reasons"
    )


def _fits(
    subject: Subject, slopes: list[Slope], data: Data, step: float, training: bool
) -> list[tuple[float, str, float]]:
    """For each likelihood: the unexplained part of the gradient, its name and its weight."""
    fits = []
    rises = np.array([_length(slope) for slope in slopes])
    z, _ = _encode(subject, data, training)
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
            if not expected.any():
                continue
            weight = float(found @ expected / (expected @ expected))
            error = np.linalg.norm(found - weight * expected) / np.linalg.norm(found)
            fits.append((float(error), name, weight))
    return fits


def _derivatives(
    subject: Subject, slope: Slope, z: np.ndarray, data: Data, training: bool, step: float
) -> dict[str, tuple[float, float]]:
    """Differentiate -log p(x|z) along a slope, for each likelihood.

    Returns:
        name of the likelihood -> the derivative, and the one ahead minus the one behind.
    """
    weights = [weight for weight, _ in slope]
    values = [np.array(ops.convert_to_numpy(weight), copy=True) for weight in weights]
    length = _length(slope)
    directions = [gradient / length for _, gradient in slope]
    step *= max(math.sqrt(sum(float(np.sum(np.square(value))) for value in values)), 1.0)
    places = []
    for sign in (1.0, 0.0, -1.0):
        moved = [
            (value + sign * step * direction).astype(value.dtype)
            for value, direction in zip(values, directions, strict=True)
        ]
        _assign(weights, moved)
        with state_kept(subject):
            outputs = subject.decode(z, data.conditions, training)
        places.append(
            {
                name: -float(np.mean(log_prob(make(outputs), data.target, data.observed)))
                for name, make in subject.likelihoods.items()
            }
        )
    _assign(weights, values)
    ahead, here, behind = places
    return {
        name: (
            (ahead[name] - behind[name]) / (2.0 * step),
            (ahead[name] - 2.0 * here[name] + behind[name]) / step,
        )
        for name in here
    }


def _encode(
    subject: Subject, data: Data, training: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mu and log_var with the noise of the training step: dropout drops the same units."""
    with state_kept(subject):
        return subject.encode(data.x, data.conditions, training)


def _assign(weights: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
