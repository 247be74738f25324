"""Estimates of the bounds on log p(x): compiled, in chunks of samples, reduced on the device."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.backends.tensorflow.replicas import one_pass
from kelbo.distributions.distribution import Tensor
from kelbo.inputs import split
from kelbo.kinds import check_sizes
from kelbo.model import LatentVariableModel
from kelbo.passes import rows_in_one_pass

# Below every log-weight that can be told from log 0, yet finite, so that differences are too.
_LOWEST = float(np.finfo("float32").min)


class ChunkSeed(keras.random.SeedGenerator):
    """The draws of one chunk, from a key that may be a tensor inside a compiled loop.

    Keras's generator keeps its state in a variable, which JAX does not let a loop update.

    Args:
        key: (2,), of the dtype of Keras's seeds.
    """

    def __init__(self, key: Tensor):
        self._key = key
        self._draws = 0

    def next(self, ordered: bool = True) -> Tensor:
        """The seed of the next draw, (2,)."""
        seed = ops.stack([self._key[0], self._key[1] + self._draws])
        self._draws += 1
        return seed


class TraceStatistics(keras.Model):
    """What evaluation needs of many draws of z for each datum, reduced to (batch,) statistics.

    Being a keras.Model it is compiled on every backend by Keras itself. One call encodes each
    datum once, then decodes chunk after chunk of its draws in a loop on the device.

    Args:
        model: a VAE, or an autoencoder, of which one draw says everything.
        num_samples: K, draws of z for each datum.
        chunk: how many of them are decoded at once.
    """

    def __init__(self, model: LatentVariableModel, num_samples: int, chunk: int):
        # The statistics are float32, whatever the networks compute in.
        super().__init__(name="trace_statistics", dtype="float32")
        self.model = model
        self.num_samples = num_samples
        self.chunk = chunk
        self.built = True

    @property
    def chunks(self) -> int:
        """The number of turns of the loop; the last may have samples too many, which are masked."""
        return math.ceil(self.num_samples / self.chunk)

    def call(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Statistics of a batch.

        Args:
            inputs: {"data": what the model takes, "keys": (chunks, 2), a key for each chunk's
                draws}.

        Returns:
            reconstruction, the mean over the samples of log p(x|z), and what the model's
            `code_statistics` gives. Of a VAE also largest and total, the largest log-weight and the
            sum of exp(log-weight - largest); and, where the KL has no closed form, kl, the
            mean of log q(z|x) - log p(z). All of these (batch,).
        """
        data, keys = inputs["data"], inputs["keys"]
        model = self.model
        encoded = model.encode_once(data, training=False)
        statistics = model.code_statistics(encoded)
        names = ["reconstruction"]
        if model.has_bound:
            names += ["largest", "total"]
            names += [] if {"kl_per_dimension", "kl"} & set(statistics) else ["kl"]

        def add_chunk(index: Tensor, sofar: dict[str, Tensor]) -> dict[str, Tensor]:
            # TensorFlow starts ten turns of a loop at once, each with its activations, unless one
            # needs the one before: so the key does. What is added is 0 until all is NaN anyway.
            lost = ops.any(ops.isnan(sofar["reconstruction"]))
            seed = ChunkSeed(keys[index] + ops.cast(lost, keys.dtype))
            trace = model.sampled_trace(data, self.chunk, seed, encoded)
            samples = index * self.chunk + ops.arange(self.chunk, dtype="int32")
            wanted = (samples < self.num_samples)[:, None]
            count = ops.cast(ops.minimum((index + 1) * self.chunk, self.num_samples), "float32")

            def mean(name: str, values: Tensor) -> Tensor:
                # A running mean loses no digits, as a sum over thousands of samples would.
                step = ops.sum(ops.where(wanted, values - sofar[name], 0.0), axis=0)
                return sofar[name] + step / count

            result = {"reconstruction": mean("reconstruction", trace.log_px_z)}
            if "kl" in names:
                result["kl"] = mean("kl", trace.kl)
            if "largest" in names:
                log_weights = ops.where(wanted, trace.log_weights, _LOWEST)
                largest = ops.maximum(sofar["largest"], ops.max(log_weights, axis=0))
                rescaled = sofar["total"] * ops.exp(sofar["largest"] - largest)
                result["total"] = rescaled + ops.sum(ops.exp(log_weights - largest), axis=0)
                result["largest"] = largest
            return result

        x, _ = split(data)
        zero = ops.zeros_like(ops.reshape(x, (ops.shape(x)[0], -1))[:, 0], dtype="float32")
        start = {name: zero + _LOWEST if name == "largest" else zero for name in names}
        return statistics | ops.fori_loop(0, self.chunks, add_chunk, start)


def samples_in_one_pass(num_samples: int, batch_size: int, rows: int) -> int:
    """How many draws of each datum to decode at once: at least one, together at most `rows`.

    All passes have one size, so that one program is compiled, and as few samples too many as can
    be.
    """
    passes = math.ceil(num_samples / max(1, rows // batch_size))
    return math.ceil(num_samples / passes)


def statistics(
    model: LatentVariableModel,
    batches: Iterable[Any],
    num_samples: int,
    batch_size: int,
    seed: int,
    rows_per_pass: int | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """The statistics of every batch: see `TraceStatistics`.

    The draws are a function of the seed, of batch_size and of rows_per_pass, fresh for every batch
    and every chunk of samples.

    Args:
        model: a VAE or an AE.
        batches: of data, each at most batch_size.
        num_samples: K.
        batch_size: the size of the batches.
        seed: of the draws.
        rows_per_pass: how many latent vectors are decoded at once, which bounds the memory; None:
            as many as suit the device.

    Yields:
        reconstruction (batch,), and mean (batch, latent_dim) where q(z|x) has one in closed form;
        of a VAE also the importance-weighted `bound` in float64, (batch,), and kl_per_dimension
        (batch, latent_dim) or kl (batch,).

    Raises:
        UsageError: a number < 1.
    """
    rows = rows_in_one_pass(model.data_dim) if rows_per_pass is None else rows_per_pass
    check_sizes(num_samples=num_samples, batch_size=batch_size, rows_per_pass=rows)
    compiled = _compiled(model, num_samples, samples_in_one_pass(num_samples, batch_size, rows))
    generator = np.random.default_rng(seed)
    dtype = model.seed_generator.state.dtype
    for data in batches:
        keys = generator.integers(2**31 - 1, size=(compiled.chunks, 2)).astype(dtype)
        outputs = one_pass(compiled).predict_on_batch({"data": data, "keys": keys})
        if "total" in outputs:
            # In float64: the largest may be so large that a float32 has no room for the rest.
            log_total = np.log(outputs.pop("total").astype("float64") / num_samples)
            outputs["bound"] = outputs.pop("largest") + log_total
        yield outputs


def _compiled(model: LatentVariableModel, num_samples: int, chunk: int) -> TraceStatistics:
    """Kept on the model, past Keras's tracking of attributes, so that it compiles only once."""
    kept = model.__dict__.setdefault("_trace_statistics", {})
    if (num_samples, chunk) not in kept:
        kept[num_samples, chunk] = TraceStatistics(model, num_samples, chunk)
    return kept[num_samples, chunk]


def importance_weighted_bound(
    vae: LatentVariableModel,
    x: Any,
    num_samples: int,
    batch_size: int,
    seed: int,
    rows_per_pass: int | None = None,
) -> np.ndarray:
    """The importance-weighted bound of each datum in nats: see `VAE.log_likelihood`."""
    count = len(split(x)[0])

    def batch(start: int) -> Any:
        return keras.tree.map_structure(lambda array: array[start : start + batch_size], x)

    batches = map(batch, range(0, count, max(1, batch_size)))
    parts = statistics(vae, batches, num_samples, batch_size, seed, rows_per_pass)
    return np.concatenate([part["bound"] for part in parts])
