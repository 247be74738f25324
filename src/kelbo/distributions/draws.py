"""Random numbers that several distributions are made of."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions.distribution import Tensor, float32

# The smallest number that a uniform draw can be, and its distance from 1.
_SMALLEST = 2.0**-24


def several_seeds(seed: Any, count: int) -> list[Any]:
    """Seeds for several draws.

    Args:
        seed: a generator, which gives each draw a seed of its own, or an int, which would give all
            draws the same numbers.
        count: how many draws.
    """
    if not isinstance(seed, (int, np.integer)):
        return [seed] * count
    states = np.random.SeedSequence(int(seed) % 2**31).generate_state(count)
    return [int(state) % 2**31 for state in states]


def uniform(shape: tuple[Any, ...], seed: Any) -> Tensor:
    """Uniform draws strictly between 0 and 1, so that both have logarithms."""
    drawn = keras.random.uniform(shape, dtype="float32", seed=seed)
    return ops.clip(drawn, _SMALLEST, 1.0 - _SMALLEST)


def logistic(shape: tuple[Any, ...], seed: Any) -> Tensor:
    """Draws of the logistic distribution with location 0 and scale 1."""
    drawn = uniform(shape, seed)
    return ops.log(drawn) - ops.log1p(-drawn)


def categorical(logits: Tensor, sample_shape: tuple[Any, ...], seed: Any) -> Tensor:
    """Classes with these logits: (S..., *axes, K) -> (*sample_shape, S..., *axes), int32.

    The largest of the logits with Gumbel noise (Gumbel 1954).
    """
    noise = uniform((*sample_shape, *ops.shape(logits)), seed)
    return ops.argmax(logits - ops.log(-ops.log(noise)), axis=-1)


def log_gamma_draws(shape: tuple[Any, ...], concentration: Tensor, seed: Any) -> Tensor:
    """Logarithms of draws of Gamma(concentration, 1), which may be too small for a float32.

    A draw of Gamma(a) is one of Gamma(a + 1) times U^(1/a) (Marsaglia and Tsang 2000).
    """
    first, second = several_seeds(seed, 2)
    concentration = ops.broadcast_to(concentration, shape)  # TensorFlow does not
    larger = keras.random.gamma(shape, concentration + 1.0, dtype="float32", seed=first)
    return ops.log(larger) + ops.log(uniform(shape, second)) / concentration


def poisson(shape: tuple[Any, ...], rate: Tensor, seed: Any) -> Tensor:
    """Counts of Poisson(rate), as float32.

    A count is the number of arrivals before the time `rate` in a process with one arrival in a
    unit of time. Where the n-th arrival is at a time X > rate, the n - 1 before it are uniform on
    (0, X), so Binomial(n - 1, rate / X) of them are early enough (Ahrens and Dieter 1974, algorithm
    PG). Here n is so large that X < rate has a probability below 1e-10; the count is then n.
    """
    first, second = several_seeds(seed, 2)
    rate = ops.broadcast_to(float32(rate), shape)
    last = ops.floor(rate + 8.0 * ops.sqrt(rate) + 20.0)
    time = keras.random.gamma(shape, last, dtype="float32", seed=first)
    share = ops.clip(rate / time, 0.0, 1.0)
    early = keras.random.binomial(shape, last - 1.0, share, dtype="float32", seed=second)
    return ops.where(time > rate, early, last)
