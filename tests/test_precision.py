"""In mixed precision the networks round to bfloat16, and nothing else does."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.special import expit, logsumexp

import kelbo
from kelbo.bounds import TraceStatistics
from kelbo.errors import UsageError
from kelbo.networks import NETWORKS
from kelbo.precision import ALIASES, PRECISIONS, dtype_policy
from tests.support import LIKELIHOODS, noise, randomise, to_numpy, weights

BF16 = "mixed_bfloat16"
SHAPE = (28, 28, 1)
# Values that bfloat16 does not have.
X = np.random.default_rng(1).random((6, *SHAPE), "float32")


@pytest.fixture
def bf16_everywhere():
    """Keras's global policy, as a user sets it before making a model."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(BF16)
    yield
    keras.config.set_dtype_policy(before)


def model(preset=kelbo.presets.vae, network="mlp", **options):
    made = preset(SHAPE, latent_dim=4, network=network, seed=0, **options)
    randomise(made, scale=0.1)
    return made


def numpy_of(tensor):
    """What a tensor holds, rounded as it is."""
    return to_numpy(ops.cast(tensor, "float32"))


def dtypes(structure):
    return {
        keras.backend.standardize_dtype(tensor.dtype) for tensor in keras.tree.flatten(structure)
    }


def statistics(vae, num_samples):
    """What evaluation computes of X, in one chunk of draws."""
    keys = np.zeros((1, 2), vae.seed_generator.state.dtype)
    return TraceStatistics(vae, num_samples, num_samples)({"data": X, "keys": keys})


# What computes in what.


def assert_only_the_networks_compute_in_bfloat16(vae):
    outputs = vae(X)
    trace = vae.trace(X, outputs)
    z = np.zeros((2, 4), "float32")
    assert dtypes(vae.posterior.network(X)) == dtypes(vae.likelihood.network(z)) == {"bfloat16"}
    assert dtypes(outputs) == {"float32"}
    names = ("z", "log_px_z") + (("log_pz", "log_qz_x", "kl") if vae.has_bound else ())
    assert dtypes([getattr(trace, name) for name in names]) == {"float32"}
    assert dtypes(vae.objective.terms(trace)) == {"float32"}
    assert dtypes(vae.compute_loss(X, None, outputs)) == {"float32"}
    assert dtypes([weight for weight in vae.weights if "seed" not in weight.path]) == {"float32"}
    assert dtypes([vae.predict(X, verbose=0), vae.encode(X), vae.decode(z)]) == {"float32"}
    assert dtypes([vae.encoder(X), vae.decoder(z)]) == {"float32"}
    assert {metric.dtype for metric in vae._trackers.values()} == {"float32"}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_preset_takes_the_precision_of_its_networks(network):
    vae = model(network=network, precision=BF16)
    assert_only_the_networks_compute_in_bfloat16(vae)
    assert vae.precision == "bfloat16"
    assert "in bfloat16, effective beta 1" in vae.describe_training()


@pytest.mark.usefixtures("bf16_everywhere")
@pytest.mark.parametrize("preset", kelbo.presets.PRESETS.values(), ids=kelbo.presets.PRESETS)
def test_keras_s_global_policy_is_for_the_networks_alone(preset):
    assert_only_the_networks_compute_in_bfloat16(model(preset))


@pytest.mark.usefixtures("bf16_everywhere")
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_and_what_evaluation_needs_are_float32(likelihood):
    vae = model(likelihood=likelihood)
    assert dtypes(vae(X)) == dtypes(statistics(vae, 3)) == {"float32"}
    assert_only_the_networks_compute_in_bfloat16(vae)


@pytest.mark.usefixtures("bf16_everywhere")
def test_the_user_s_own_mu_and_log_var_become_float32_where_the_network_ends():
    x = keras.Input(SHAPE)
    h = layers.Flatten()(x)
    network = keras.Model(x, [layers.Dense(4)(h), layers.Dense(4)(h)])
    likelihood = kelbo.BernoulliLikelihood(kelbo.networks.mlp_decoder(SHAPE, 4))
    assert_only_the_networks_compute_in_bfloat16(
        kelbo.VAE(kelbo.GaussianPosterior(network), likelihood)
    )


def test_a_model_of_two_precisions_says_both():
    posterior = kelbo.GaussianPosterior(kelbo.networks.mlp_encoder(SHAPE, dtype=BF16), 4)
    likelihood = kelbo.BernoulliLikelihood(kelbo.networks.mlp_decoder(SHAPE, 4))
    assert kelbo.VAE(posterior, likelihood).precision == "bfloat16 and float32"


# How exact it is.


@pytest.mark.usefixtures("bf16_everywhere", "fixed_noise")
def test_behind_the_networks_nothing_is_rounded_to_bfloat16():
    vae = model()
    features = numpy_of(vae.posterior.network(X))
    (mu, log_var) = (
        features @ to_numpy(head.kernel) + to_numpy(head.bias)
        for head in (vae.posterior.mu, vae.posterior.log_var)
    )
    z = mu + np.exp(0.5 * log_var) * noise((6, 4))
    kl = 0.5 * np.sum(np.exp(log_var) + mu**2 - 1.0 - log_var, axis=-1)
    trace = vae.trace(X)
    logits = numpy_of(vae.likelihood.network(trace.z))
    log_px_z = np.sum(X * logits - np.logaddexp(0.0, logits), axis=(1, 2, 3))

    np.testing.assert_allclose(to_numpy(trace.z), z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_numpy(trace.kl), kl, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(trace.log_px_z), log_px_z, rtol=1e-6)
    np.testing.assert_allclose(
        to_numpy(vae.compute_loss(X, None, vae(X))), np.mean(kl - log_px_z), rtol=1e-6
    )
    np.testing.assert_allclose(to_numpy(vae.encoder(X)), z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_numpy(vae.decoder(trace.z)), expit(logits), rtol=1e-5)


@pytest.mark.usefixtures("bf16_everywhere", "fixed_noise")
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-shared"])
def test_evaluation_sees_the_data_and_a_learned_variance_unrounded(likelihood):
    # With networks in float32, whose results do not depend on how a compiler fuses them.
    vae = model(likelihood=likelihood, precision="float32")
    trace = vae.sampled_trace(X, 3, vae.seed_generator)
    found = {name: to_numpy(value) for name, value in statistics(vae, 3).items()}
    log_px_z, log_weights = to_numpy(trace.log_px_z), to_numpy(trace.log_weights)
    np.testing.assert_allclose(found["reconstruction"], log_px_z.mean(axis=0), rtol=3e-6)
    np.testing.assert_allclose(
        found["largest"] + np.log(found["total"]), logsumexp(log_weights, axis=0), rtol=3e-6
    )
    np.testing.assert_allclose(found["kl_per_dimension"].sum(-1), to_numpy(trace.kl), rtol=1e-5)


@pytest.mark.usefixtures("bf16_everywhere", "fixed_noise")
def test_float32_as_asked_for_is_exact_whatever_the_global_policy_is():
    inside = model(precision="float32")
    parameters = inside(X)
    keras.config.set_dtype_policy("float32")
    outside = model()
    outside.set_weights(inside.get_weights())
    assert inside.precision == "float32"
    expected = keras.tree.flatten(outside(X))
    for one, other in zip(keras.tree.flatten(parameters), expected, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


@pytest.mark.usefixtures("fixed_noise")
def test_of_the_same_weights_the_elbo_of_each_datum_differs_by_less_than_a_quarter_of_a_nat():
    exact, mixed = model(), model(precision=BF16)
    mixed.set_weights(exact.get_weights())
    one, other = (to_numpy(vae.objective.terms(vae.trace(X))["elbo"]) for vae in (exact, mixed))
    # There the numbers of bfloat16 are 4 nats apart: a sum rounded to them is up to 2 nats off.
    assert np.all((-1024.0 < one) & (one < -512.0))
    np.testing.assert_allclose(one, other, rtol=0.0, atol=0.25)


def test_after_training_the_elbo_is_float32_s_to_half_a_nat():
    (x, _), (x_test, _) = kelbo.data.mnist()
    elbos = []
    for precision in ("float32", "bf16"):
        keras.utils.set_random_seed(0)
        vae = kelbo.presets.vae(SHAPE, latent_dim=4, network="mlp", seed=0, precision=precision)
        vae.compile("adam")
        vae.fit(x[:1024], batch_size=64, epochs=2, verbose=0)
        elbos.append(vae.evaluate(x_test[:256], verbose=0, return_dict=True)["elbo"])
    assert elbos[0] > -300.0  # it did learn: before the training it is -544
    assert abs(elbos[0] - elbos[1]) < 0.5


# What is kept.


def test_a_file_keeps_the_precision_whatever_the_global_policy_is(tmp_path, request):
    exact, mixed = model(), model(precision=BF16)
    for name, vae in (("exact", exact), ("mixed", mixed)):
        vae.compile("adam")
        vae.save(tmp_path / f"{name}.keras")
    request.getfixturevalue("bf16_everywhere")
    again = kelbo.load_model(tmp_path / "exact.keras")
    keras.config.set_dtype_policy("float32")
    pairs = [(exact, again), (mixed, kelbo.load_model(tmp_path / "mixed.keras"))]
    for vae, loaded in pairs:
        assert loaded.precision == vae.precision
        for one, other in zip(weights(vae), weights(loaded), strict=True):
            np.testing.assert_array_equal(one, other)
        losses = [both.evaluate(X, verbose=0, return_dict=True)["loss"] for both in (vae, loaded)]
        assert losses[0] == losses[1]


# What is refused.


def test_float16_is_refused_with_the_reason():
    with pytest.raises(UsageError, match="unless the loss is scaled.* Use bf16"):
        kelbo.BernoulliLikelihood(kelbo.networks.mlp_decoder(SHAPE, 4, dtype="mixed_float16"))
    for name in ("float16", "fp16", "half", "mixed_float16", "F16"):
        with pytest.raises(UsageError, match=f"received precision '{name}': small gradients"):
            dtype_policy(name)


@pytest.mark.parametrize("policy", [BF16, keras.DTypePolicy(BF16), "float64"])
def test_another_dtype_for_a_model_or_its_parts(policy):
    vae = model()
    with pytest.raises(UsageError, match="VAE received dtype=.* always in float32. Precision"):
        kelbo.VAE(vae.posterior, vae.likelihood, dtype=policy)
    with pytest.raises(UsageError, match="GaussianPosterior received dtype="):
        kelbo.GaussianPosterior(vae.posterior.network, 4, dtype=policy)


def test_precisions_have_the_names_that_people_type():
    assert {name: dtype_policy(name) for name in (*PRECISIONS, *ALIASES)} == {
        "float32": "float32",
        "fp32": "float32",
        "bf16": BF16,
        "bfloat16": BF16,
        BF16: BF16,
    }
    with pytest.raises(UsageError, match="There is no precision 'bf61'. Did you mean 'bf16'"):
        dtype_policy("bf61")
