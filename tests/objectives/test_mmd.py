"""The distance of two samples: NumPy's double sum, and its expectation between two normals."""

import numpy as np
import pytest
from keras import ops

import kelbo
from kelbo.errors import UsageError
from kelbo.objectives.mmd import mmd
from tests import kinds
from tests.support import LATENT, SHAPE, data, tiny_ae, tiny_vae, to_numpy

KERNELS = {
    "imq": lambda squared, d, s: 2.0 * d * s / (2.0 * d * s + squared),
    "rbf": lambda squared, d, s: np.exp(-squared / (2.0 * d * s)),
}


def by_hand(x, y, kernel, scales):
    def mean(a, b, same):
        pairs = [
            sum(KERNELS[kernel](np.sum((u - v) ** 2), x.shape[1], s) for s in scales)
            for i, u in enumerate(a)
            for j, v in enumerate(b)
            if not (same and i == j)
        ]
        return np.mean(pairs)

    return mean(x, x, True) + mean(y, y, True) - 2.0 * mean(x, y, False)


@pytest.mark.parametrize("kernel", KERNELS)
def test_it_is_the_mean_over_all_pairs_of_different_points(kernel):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(7, 3)), generator.normal(0.5, 2.0, size=(7, 3))
    scales = (0.3, 1.0, 4.0)
    found = mmd(*(ops.convert_to_tensor(each, "float32") for each in (x, y)), kernel, scales)
    assert float(to_numpy(found)) == pytest.approx(by_hand(x, y, kernel, scales), rel=1e-4)


def between_normals(mean, variance, d, scale):
    """The expectation of the rbf between N(mean, variance) and N(0, 1) in d dimensions."""
    width = d * scale

    def kernel(added, distance):
        total = width + added
        return (width / total) ** (d / 2.0) * np.exp(-d * distance**2 / (2.0 * total))

    both = kernel(variance + 1.0, mean)
    return kernel(2.0 * variance, 0.0) + kernel(2.0, 0.0) - 2.0 * both


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (0.7, 1.0), (0.0, 0.3)])
def test_its_expectation_between_two_normals_is_the_closed_form(mean, variance):
    generator = np.random.default_rng(1)
    estimates = []
    for _ in range(400):
        x = mean + np.sqrt(variance) * generator.standard_normal((20, 2))
        y = generator.standard_normal((20, 2))
        tensors = (ops.convert_to_tensor(each, "float32") for each in (x, y))
        estimates.append(float(to_numpy(mmd(*tensors, "rbf", (0.5,)))))
    error = np.std(estimates) / 20.0
    assert error < 0.005
    assert np.mean(estimates) == pytest.approx(
        between_normals(mean, variance, 2, 0.5), abs=4 * error
    )


@pytest.mark.parametrize(
    ("make", "weight"),
    [(lambda: kelbo.WAE(7.0), 7.0), (lambda: kelbo.InfoVAE(0.25, 7.0), 6.25)],
)
def test_the_loss_weighs_the_distance_of_the_draws_from_the_prior(make, weight):
    vae = tiny_vae(objective=make())
    terms = vae.objective.terms(vae.trace(data(8)))
    found = {name: to_numpy(value) for name, value in terms.items()}
    np.testing.assert_allclose(found["batch_loss"], weight * found["mmd"], rtol=1e-6)
    kl = (1.0 - 0.25) * found["kl"] if "kl" in found else 0.0
    np.testing.assert_allclose(found["loss"], kl - found["reconstruction"], rtol=1e-6)
    assert vae.effective_beta == (0.75 if "kl" in found else None)


def test_each_step_compares_with_other_draws_of_the_prior():
    vae = tiny_vae(objective=kelbo.WAE(0.0))
    for weight in vae.trainable_weights:
        weight.assign(0.0 * weight)
    vae.compile("sgd")
    distances = []
    for _ in range(3):
        vae.reset_metrics()
        distances.append(float(vae.train_on_batch(data(8), return_dict=True)["mmd"]))
    assert len(set(distances)) == 3


def test_a_deterministic_encoder_trains_with_wae_and_samples_and_has_no_bound(tmp_path):
    ae = tiny_ae()
    vae = kelbo.VAE(ae.posterior, ae.likelihood, objective=kelbo.WAE(), seed=0)
    vae.compile("adam")
    history = vae.fit(data(8), batch_size=4, verbose=0).history
    assert set(history) == {"loss", "reconstruction", "mmd"}
    vae.save(tmp_path / "vae.keras")
    again = kelbo.load_model(tmp_path / "vae.keras")
    assert again.sample(3, seed=0).shape == (3, *SHAPE)
    assert again.posterior_mean(data(2)).shape == (2, LATENT)
    with pytest.raises(UsageError, match="no density q.*no bound on log p"):
        again.log_likelihood(data(2))
    with pytest.raises(UsageError, match="ELBO needs the density.*kelbo.WAE"):
        again.objective = kelbo.ELBO()


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UsageError, match="an autoencoder has none. Use kelbo.VAE"):
        tiny_ae().objective = kelbo.WAE()
    with pytest.raises(UsageError, match="the prior has the conditions c"):
        kinds.MODELS["conditional"]().objective = kelbo.WAE()
    for objective in (kelbo.WAE(), kelbo.InfoVAE(1.0)):
        with pytest.raises(UsageError, match="no gradient in the weights of a MixturePrior"):
            tiny_vae(objective=objective, prior=kelbo.MixturePrior(2))
    tiny_vae(objective=kelbo.InfoVAE(0.5), prior=kelbo.MixturePrior(2))
    with pytest.raises(UsageError, match="'imq' or 'rbf', received 'cosine'"):
        kelbo.WAE(kernel="cosine")
    with pytest.raises(UsageError, match="scales of the kernel above 0"):
        kelbo.InfoVAE(scales=[1.0, 0.0])
    with pytest.raises(UsageError, match="alpha to be a number up to 1, received 2.0"):
        kelbo.InfoVAE(2.0)
    with pytest.raises(UsageError, match="Expected alpha . scale >= 1"):
        kelbo.InfoVAE(-3.0, 2.0)
