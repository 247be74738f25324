"""Data sets on TensorFlow without tf.data's autotuner, which holds up the end of an epoch.

Keras makes a tf.data.Dataset from arrays and streams, and an iterator over it for every epoch. Each
iterator has an autotuner, a thread that sleeps 10 ms, 20 ms, 40 ms and so on up to a minute. The
iterator can end only after this thread, which at times misses being woken: then nothing runs until
it wakes by itself, 0.63, 1.27, 2.55, 5.11 s and so on after the epoch began (TensorFlow 2.21;
docs/measurements.md has the figures). kelbo's data need no tuning.
"""

from typing import Any


class Untuned:
    """TensorFlow's default strategy, without the autotuner for data sets that did not ask for it.

    Keras passes every data set to `experimental_distribute_dataset` before it iterates over it.
    """

    def __init__(self, strategy: Any):
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """The data set that the strategy iterates over."""
        import tensorflow as tf

        if dataset.options().autotune.enabled is None:
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = dataset.with_options(options)
        return self._strategy.experimental_distribute_dataset(dataset, *args, **kwargs)


class UntunedData:
    """A mixin for keras.Model, to inherit from first: TensorFlow iterates over its data untuned."""

    @property
    def distribute_strategy(self) -> Any:
        """TensorFlow's default strategy without the autotuner, or the user's own, unchanged.

        Raises:
            AttributeError: on other backends, where keras.Model has no strategy.
        """
        strategy = super().distribute_strategy  # type: ignore[misc]
        # Imported only here: on other backends TensorFlow need not be installed.
        import tensorflow as tf

        is_default = strategy is tf.distribute.get_strategy() and not tf.distribute.has_strategy()
        return Untuned(strategy) if is_default else strategy
