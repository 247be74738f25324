"""A tf.data.Dataset whose batches are shown to a check (kelbo.checked)."""

from typing import Any

import tensorflow as tf


def checked_dataset(dataset: tf.data.Dataset, examination: Any) -> tf.data.Dataset:
    """A data set of the same batches, which are examined on their way.

    Args:
        dataset: the user's.
        examination: a context that gives a function of a batch.
    """

    def examine(*leaves: Any) -> None:
        with examination() as examine_batch:
            examine_batch(tf.nest.pack_sequence_as(dataset.element_spec, leaves))

    def pass_on(*batch: Any) -> Any:
        given = batch if isinstance(dataset.element_spec, tuple) else batch[0]
        leaves = tf.nest.flatten(given, expand_composites=True)
        with tf.control_dependencies([tf.numpy_function(examine, leaves, [])]):
            return tf.nest.map_structure(tf.identity, given)

    return dataset.map(tf.autograph.experimental.do_not_convert(pass_on))
