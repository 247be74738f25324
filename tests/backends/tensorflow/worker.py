"""One of two workers; run by test_replicas.py in two processes at once."""

import contextlib

import pytest
import tensorflow as tf

# Before anything else of TensorFlow runs.
TWO = tf.distribute.MultiWorkerMirroredStrategy()

import numpy as np  # noqa: E402

from tests.backends.tensorflow.steps import CASES, assert_same, train  # noqa: E402
from tests.support import data, tiny_vae  # noqa: E402


@pytest.mark.usefixtures("no_noise")
@pytest.mark.parametrize("case", CASES)
def test_two_workers_take_the_steps_of_one_device(case):
    assert_same(train(case, TWO.scope()), train(case, contextlib.nullcontext()))


def test_each_worker_draws_its_own_noise():
    with TWO.scope():
        vae = tiny_vae()
        z = TWO.run(tf.function(lambda: vae(tf.constant(data(5)))["z"]))
    both = TWO.gather(z, axis=0)
    assert not np.allclose(both[:5], both[5:])


def test_a_pass_is_a_pass_of_this_worker_alone():
    with TWO.scope():
        assert len(tiny_vae().encode(data(5 + TWO.cluster_resolver.task_id))["mu"]) in (5, 6)
