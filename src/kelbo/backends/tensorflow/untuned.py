"""Data sets on TensorFlow without tf.data's autotuner, which holds up the end of an epoch.

Keras makes a tf.data.Dataset of arrays and streams, and an iterator of it for every epoch. Beside
each iterator runs the autotuner, a thread that sleeps 10 ms, 20 ms, 40 ms and so on up to a minute.
When the iterator goes, this thread must end first, and at times it misses being woken: then nothing
runs until it wakes by itself, 0.63, 1.27, 2.55, 5.11 s and so on after the epoch began (TensorFlow
2.21; docs/architecture.md has what was measured). kelbo's data need no tuning.
"""

from typing import Any


class Untuned:
    """TensorFlow's default strategy; data sets that did not ask for the autotuner go without.

    Keras hands every data set to `experimental_distribute_dataset` before it iterates it.
    """

    def __init__(self, strategy: Any):
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """The data set as the strategy iterates it."""
        import tensorflow as tf

        if dataset.options().autotune.enabled is None:
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = dataset.with_options(options)
        return self._strategy.experimental_distribute_dataset(dataset, *args, **kwargs)


class UntunedData:
    """For a keras.Model to inherit from first: TensorFlow iterates its data so, and no more."""

    @property
    def distribute_strategy(self) -> Any:
        """TensorFlow's default strategy in that way; one of the user's own as it is.

        No other backend has one.
        """
        strategy = super().distribute_strategy  # type: ignore[misc]
        # Not before: elsewhere than on TensorFlow this ends above, and it need not be installed.
        import tensorflow as tf

        is_default = strategy is tf.distribute.get_strategy() and not tf.distribute.has_strategy()
        return Untuned(strategy) if is_default else strategy
