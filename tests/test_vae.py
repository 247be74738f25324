import numpy as np
import pytest

import kelbo
from kelbo.errors import DataError, UsageError
from tests.support import SHAPE, data, randomise, tiny_vae, to_numpy


def test_is_the_elbo_with_a_standard_normal_prior_unless_told_otherwise():
    vae = tiny_vae()
    assert isinstance(vae.objective, kelbo.ELBO)
    assert isinstance(vae.prior, kelbo.StandardNormalPrior)
    assert vae.effective_beta == 1.0
    assert (vae.data_shape, vae.data_dim, vae.latent_dim) == (SHAPE, 6, 2)


def test_samples_are_decoded_draws_of_the_prior():
    vae = tiny_vae()
    randomise(vae)
    samples = vae.sample(4_000, seed=1)
    assert samples.shape == (4_000, *SHAPE)
    z = np.random.default_rng(0).standard_normal((4_000, 2))
    expected = vae.decode(z)
    error = np.abs(samples.mean(axis=0) - expected.mean(axis=0))
    assert np.all(error < 5.0 * expected.std(axis=0) * np.sqrt(2.0 / 4_000))
    np.testing.assert_allclose(samples.std(axis=0), expected.std(axis=0), rtol=0.15)


def test_samples_repeat_with_a_seed_and_are_fresh_without_one():
    vae = tiny_vae()
    randomise(vae)
    np.testing.assert_array_equal(vae.sample(3, seed=1), vae.sample(3, seed=1))
    draws = [vae.sample(3, seed=77), vae.sample(3, seed=99), vae.sample(3), vae.sample(3)]
    assert len(np.unique(np.concatenate(draws), axis=0)) == 12


def test_samples_are_the_same_however_many_are_decoded_at_once():
    vae = tiny_vae()
    randomise(vae)
    np.testing.assert_allclose(
        vae.sample(10, seed=1, batch_size=3), vae.sample(10, seed=1), rtol=1e-5
    )


def test_it_is_told_how_many_samples_are_decoded():
    done = []
    tiny_vae().sample(10, seed=1, batch_size=4, on_progress=done.append)
    assert done == [4, 8, 10]


def test_the_draws_of_the_encoder_are_decided_by_the_seed():
    x = data(4)

    def draws(seed):
        vae = tiny_vae(seed=seed)
        vae.set_weights(weights_of_one)
        return [np.asarray(to_numpy(vae.encoder(x))) for _ in range(2)]

    weights_of_one = tiny_vae().get_weights()
    first, again, other = draws(2**31 + 1), draws(2**31 + 1), draws(2)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).all() and (np.array(first) != other).all()


@pytest.mark.parametrize("n", [0, -1])
def test_needs_something_to_sample(n):
    with pytest.raises(UsageError, match=f"at least 1, received n={n}"):
        tiny_vae().sample(n)


def test_log_likelihood_is_one_number_a_datum_and_repeats_with_its_seed():
    vae = tiny_vae()
    randomise(vae)
    first, again = (vae.log_likelihood(data(5), 7, batch_size=2, seed=1) for _ in range(2))
    assert (first.shape, first.dtype) == ((5,), np.float64)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, vae.log_likelihood(data(5), 7, batch_size=2, seed=2))


@pytest.mark.parametrize("name", ["num_samples", "batch_size", "rows_per_pass"])
def test_log_likelihood_needs_samples_and_data(name):
    with pytest.raises(UsageError, match=f"{name} to be a whole number >= 1, received 0"):
        tiny_vae().log_likelihood(data(5), **{name: 0})
    with pytest.raises(DataError, match="Expected an array of data, received list"):
        tiny_vae().log_likelihood([1.0])


@pytest.mark.parametrize("n", [2.5, "3", None])
def test_a_number_of_samples_is_whole(n):
    with pytest.raises(UsageError, match="whole number"):
        tiny_vae().sample(n)


def test_more_samples_than_the_memory_holds_are_refused_before_they_are_drawn():
    with pytest.raises(UsageError, match=r"1,000,000,000,000 samples of shape .* GB of memory"):
        tiny_vae().sample(10**12)
