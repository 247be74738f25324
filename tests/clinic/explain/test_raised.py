"""Errors that the installed Keras, tf-keras and TensorFlow raise, each where it arises."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from kelbo.clinic.explain import explain

X = np.zeros((4, 4), "float32")


def train_two_sets(library, run=lambda step: step):
    """Train two layers in turn with one optimizer."""
    optimizer = library.optimizers.Adam()
    layers = library.layers.Dense(2), library.layers.Dense(2)
    for layer in layers:
        layer(X)

    def step():
        for layer in layers:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(layer(X) ** 2)
            variables = layer.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

    run(step)()


def vae_loss(x, x_decoded):
    return x - x_decoded


def replace_losses():
    x = tf_keras.Input((4,))
    y = tf_keras.layers.Dense(4)(x)
    model = tf_keras.Model(x, y)
    model._losses = []
    model.add_loss(tf.reduce_mean(y))


def name_a_function():
    model = keras.Sequential([keras.layers.Dense(4)])
    model.compile("sgd", loss=str(vae_loss))
    model.train_on_batch(X, X)


@pytest.mark.parametrize(
    ("cause", "explanation"),
    [
        (lambda: train_two_sets(keras), "one-optimizer-two-sets"),
        (lambda: train_two_sets(keras, tf.function), "one-optimizer-two-sets"),
        (lambda: train_two_sets(tf_keras), "one-optimizer-two-sets"),
        (lambda: train_two_sets(tf_keras, tf.function), "one-optimizer-two-sets"),
        (replace_losses, "list-wrapper-unhashable"),
        (name_a_function, "loss-not-interpreted"),
        (lambda: tf.random_normal((2, 2)), "tensorflow-1-name-gone"),
        (lambda: tf.train.AdamOptimizer(), "tensorflow-1-name-gone"),
        (lambda: exec("from tensorflow import placeholder"), "tensorflow-1-name-gone"),
        (lambda: exec("import tensorflow.contrib.slim"), "tensorflow-1-name-gone"),
    ],
)
def test_what_is_raised_is_explained(cause, explanation):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        cause()
    message = f"{type(raised.value).__name__}: {raised.value}"
    assert [found.name for found in explain(message)] == [explanation]


@pytest.mark.parametrize("attribute", ["keras", "GradientTape", "nothing_of_the_kind"])
def test_another_missing_name_is_none_of_version_1(attribute):
    assert not explain(f"AttributeError: module 'tensorflow' has no attribute '{attribute}'")
