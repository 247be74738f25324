"""Estimates of the bounds on log p(x), compiled and in chunks of bounded memory."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from kelbo.distributions import has_closed_form, kl_per_dimension
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError

if TYPE_CHECKING:
    from kelbo.model import LatentVariableModel

# How many latent vectors go through the decoder in one pass: enough to keep it busy, and at most
# some hundreds of megabytes of activations for the article's network.
ROWS_IN_ONE_PASS = 2048
MNIST_PIXELS = 784


class TraceStatistics(keras.Model):
    """What evaluation needs of a trace, batch first, so that `predict` may join batches.

    Being a keras.Model it is compiled on every backend by Keras itself.

    Args:
        model: a VAE.
        num_samples: draws of z for each datum.
        noise: where the draws come from, fresh for every batch. Models of several sizes share one:
            on PyTorch, Keras draws from the seed s what it draws a call later from s - 1.
    """

    def __init__(
        self,
        model: "LatentVariableModel",
        num_samples: int,
        noise: int | keras.random.SeedGenerator,
    ):
        super().__init__(dtype="float32", name="trace_statistics")
        self.model = model
        self.num_samples = num_samples
        self.seed_generator = keras.random.SeedGenerator(noise) if isinstance(noise, int) else noise
        self.built = True

    def call(self, x: Tensor) -> dict[str, Tensor]:
        """Statistics of (batch, *data_shape).

        Returns:
            log_px_z and log_weights = log p(x, z) - log q(z|x), each (batch, num_samples);
            mean of q(z|x), (batch, latent_dim); and its kl for each latent dimension, likewise,
            where it has a closed form.
        """
        trace = self.model.sampled_trace(x, self.num_samples, self.seed_generator)
        if trace.prior is None:
            raise UsageError("An autoencoder has no prior and so no bound on log p(x).")
        statistics = {
            "log_px_z": ops.transpose(trace.log_px_z),
            "log_weights": ops.transpose(trace.log_px_z + trace.log_pz - trace.log_qz_x),
            "mean": trace.q.mean(),
        }
        if has_closed_form(trace.q, trace.prior):
            statistics["kl"] = kl_per_dimension(trace.q, trace.prior)
        return statistics


def chunks(num_samples: int, batch_size: int, data_dim: int = MNIST_PIXELS) -> list[int]:
    """Split `num_samples` so that one pass decodes at most ROWS_IN_ONE_PASS latent vectors.

    Of data larger than MNIST's images it decodes fewer, in proportion. All chunks but the last
    have one size, so that few programs are compiled.

    Raises:
        UsageError: either is < 1.
    """
    if num_samples < 1 or batch_size < 1:
        raise UsageError(
            f"Expected num_samples >= 1 and batch_size >= 1, received {num_samples} and "
            f"{batch_size}."
        )
    rows = ROWS_IN_ONE_PASS * MNIST_PIXELS // max(data_dim, MNIST_PIXELS)
    size = min(num_samples, max(1, rows // batch_size))
    rest = num_samples % size
    return [size] * (num_samples // size) + ([rest] if rest else [])


def log_mean_exp(log_weights: np.ndarray) -> np.ndarray:
    """log of the mean over the last axis of exp(log_weights), in float64."""
    log_weights = np.asarray(log_weights, "float64")
    largest = log_weights.max(axis=-1, keepdims=True)
    return largest[..., 0] + np.log(np.mean(np.exp(log_weights - largest), axis=-1))


def importance_weighted_bound(
    model: "LatentVariableModel", x: np.ndarray, num_samples: int, batch_size: int, seed: Any
) -> np.ndarray:
    """The importance-weighted bound of each datum in nats: see `VAE.log_likelihood`."""
    total = np.full(len(x), -np.inf)
    sizes = chunks(num_samples, batch_size, model.data_dim)
    noise = keras.random.SeedGenerator(seed)
    statistics = {size: TraceStatistics(model, size, noise) for size in set(sizes)}
    for size in sizes:
        log_weights = statistics[size].predict(x, batch_size=batch_size, verbose=0)["log_weights"]
        total = np.logaddexp(total, log_mean_exp(log_weights) + np.log(size))
    return total - np.log(num_samples)
