"""The replicas of tf.distribute: n of them take the step of one device, each with its own noise.

tf.distribute.MirroredStrategy and MultiWorkerMirroredStrategy share a batch out to replicas, run
the step on each and add up the gradients. What is said here of them holds in the step of a
replica; everywhere else, and on one device, these functions change nothing.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kelbo.backends.tensorflow.untuned import UntunedData
from kelbo.distributions.distribution import Tensor
from kelbo.errors import DataError
from kelbo.inputs import KERAS_BATCH_SIZE


def _replica() -> Any:
    """TensorFlow's context of the replica whose step is taken; None where there are not several."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def share_of_loss(loss: Tensor, count: Tensor) -> Tensor:
    """What this replica adds to the loss of the whole batch.

    Where c of the batch's C data came to this one of n replicas, the gradient is that of
    loss * c / C, for gradients are added up. The value is loss / n, for Keras multiplies it by n
    and then takes the mean over the replicas by their data.

    Args:
        loss: the mean over this replica's data, a scalar; NaN where it received none.
        count: how many data it received.
    """
    replica = _replica()
    if replica is None:
        return loss
    count = ops.cast(count, "float32")
    loss = ops.where(count > 0, loss, 0.0)
    share = loss * count / replica.all_reduce("SUM", count)
    return share + ops.stop_gradient(loss / replica.num_replicas_in_sync - share)


def total_over_replicas(tensor: Tensor) -> Tensor:
    """The sum over all replicas of a number that each has of its own share of the batch."""
    replica = _replica()
    return tensor if replica is None else replica.all_reduce("SUM", tensor)


class SeedOfReplica(keras.random.SeedGenerator):
    """A seed generator whose draws differ from replica to replica.

    Its state is the same on all, and so would be the draws.
    """

    def next(self, ordered: bool = True) -> Tensor:
        """The seed of the next draw, (2,)."""
        seed = super().next(ordered)
        replica = _replica()
        if replica is None:
            return seed
        import tensorflow as tf

        return tf.random.fold_in(seed, replica.replica_id_in_sync_group)


class Replicas(UntunedData):
    """For a built keras.Model whose metrics are means to inherit from: it trains on replicas."""

    @property
    def distribute_strategy(self) -> Any:
        """TensorFlow's strategy; one of several workers so that Keras's `fit` can use it."""
        strategy = super().distribute_strategy
        import tensorflow as tf

        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        return _Workers(strategy) if several else strategy

    def fit(self, x: Any = None, y: Any = None, batch_size: Any = None, **kwargs: Any) -> Any:
        """Train, as `keras.Model.fit`.

        Raises:
            DataError: an array's last batch has too few data for all replicas, and one without any
                would make the means of a BatchNormalization NaN.
        """
        if keras.backend.backend() == "tensorflow":
            self._check_last_batch(x, batch_size, kwargs.get("validation_split") or 0.0)
        return super().fit(x, y, batch_size, **kwargs)  # type: ignore[misc]

    def _check_last_batch(self, x: Any, batch_size: int | None, held_out: float) -> None:
        replicas = self.distribute_strategy.num_replicas_in_sync
        shape = getattr(keras.tree.flatten(x)[0], "shape", None)
        layers = self._flatten_layers()  # type: ignore[attr-defined]
        sensitive = any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)
        if replicas == 1 or not shape or not sensitive:
            return
        count, size = math.floor(shape[0] * (1.0 - held_out)), batch_size or KERAS_BATCH_SIZE
        last, share = count % size, math.ceil(size / replicas)
        if last and math.ceil(last / share) < replicas:
            raise DataError(
                f"{replicas} replicas share each batch in parts of {share}; received {count} data "
                f"to train on, of which the last batch has {last}. That leaves a replica without "
                "data, and the means of BatchNormalization would be NaN. Choose another "
                f"batch_size or drop the remainder, as in x[:{count - last}]."
            )

    def _maybe_symbolic_build(self, **kwargs: Any) -> None:
        """Nothing is left to be built but the optimiser.

        Keras would add up what the replicas received of the first batch, which fails where one
        received more than another.
        """
        if self._distribute_strategy is not None:  # type: ignore[attr-defined]
            with self._distribute_strategy.scope():  # type: ignore[attr-defined]
                if self.optimizer is not None and not self.optimizer.built:  # type: ignore[attr-defined]
                    self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics over the data of all replicas, in the step of one, too."""
        results = super().get_metrics_result()  # type: ignore[misc]
        replica = _replica()
        if replica is None:
            return results
        metrics = self.metrics  # type: ignore[attr-defined]
        means = [metric for metric in metrics if isinstance(metric, keras.metrics.Mean)]
        sums = ops.stack([ops.stack([mean.total.value, mean.count.value]) for mean in means])
        totals, counts = ops.unstack(replica.all_reduce("SUM", sums), axis=1)
        values = ops.unstack(ops.divide_no_nan(totals, counts))
        merged = {mean.name: value for mean, value in zip(means, values, strict=True)}
        return {name: merged.get(name, result) for name, result in results.items()}


class _Workers:
    """A MultiWorkerMirroredStrategy that Keras does not take for one.

    For one Keras averages the logs of a step along an axis that they do not have, and fails
    (keras issue 20585). They need no averaging: they are those of all replicas.
    """

    def __init__(self, strategy: Any):
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)


def one_pass(network: keras.Model) -> keras.Model:
    """A model of which `predict_on_batch` is one pass of the network, wherever it is called.

    Within the scope of a strategy Keras's own would pass the whole batch through every replica
    and return the rows of all.
    """
    if keras.backend.backend() != "tensorflow":
        return network
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return network
    # Kept past Keras's tracking of attributes, so that it compiles only once.
    return network.__dict__.setdefault("_one_pass", OnePass(network))


class OnePass(keras.Model):
    """A network as the step that `predict_on_batch` takes once."""

    def __init__(self, network: keras.Model):
        super().__init__(dtype="float32")  # the inputs are the network's to cast
        self.network = network
        self.built = True

    @property
    def distribute_strategy(self) -> "_Once":
        """In place of TensorFlow's."""
        return _Once()

    def call(self, inputs: Any) -> Any:
        """The outputs of the network."""
        return self.network(inputs)


class _Once:
    """What `OnePass` has in place of a strategy."""

    def run(self, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """One step."""
        return step(*args)
