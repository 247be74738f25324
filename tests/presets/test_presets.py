import numpy as np
import pytest

import kelbo
from kelbo.errors import UsageError
from kelbo.presets import PRESETS, preset
from kelbo.presets.parts import LIKELIHOODS
from tests.support import data, to_numpy

MNIST = (28, 28, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "beta"),
    [
        ("vae", {}, 1.0),
        ("vae", {"beta": 0.5}, 0.5),
        ("vae", {"beta": kelbo.LinearWarmup(100, 2.0)}, 2.0),
        ("beta-vae", {}, 4.0),
        ("beta-vae", {"beta": 10.0}, 10.0),
        ("iwae", {}, 1.0),
        ("article", {}, 0.0049),
        ("article", {"weight": 1.0}, 49.0),
        ("article", {"weight": 16 / 784}, 1.0),
        ("ae", {}, None),
    ],
)
def test_every_preset_has_its_effective_beta(name, arguments, beta):
    model = preset(name)(MNIST, latent_dim=16, network="mlp", **arguments)
    assert model.effective_beta == (beta if beta is None else pytest.approx(beta, rel=1e-6))


def test_the_article_s_model_has_its_network_and_its_metrics():
    model = kelbo.presets.article(MNIST)
    assert model.count_params() == 492_577
    assert isinstance(model.likelihood, kelbo.BernoulliLikelihood)
    assert {"total_loss", "reco_loss", "kl_loss"} < set(model.objective.logged)


@pytest.mark.parametrize(("arguments", "k"), [({}, 5), ({"importance_samples": 50}, 50)])
def test_iwae_is_the_vae_on_another_bound(arguments, k):
    model = kelbo.presets.iwae(MNIST, network="mlp", **arguments)
    assert model.objective.num_samples == k
    assert model.count_params() == kelbo.presets.vae(MNIST, network="mlp").count_params()


def test_the_autoencoder_is_the_article_s_without_log_var():
    ae = kelbo.presets.ae(MNIST)
    assert isinstance(ae, kelbo.AE)
    assert ae.count_params() == 492_577 - (6272 * 16 + 16)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_every_network_goes_with_every_likelihood(network, likelihood):
    x = data(2, (5, 4, 2))
    model = kelbo.presets.vae((5, 4, 2), 3, network, likelihood, seed=0)
    assert (model.data_dim, model.latent_dim) == (40, 3)
    trace = model.trace(x)
    assert trace.z.shape == (2, 3)
    assert np.isfinite(to_numpy(trace.log_px_z)).all()


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "cnov"}, "no network 'cnov'. Did you mean 'conv'"),
        ({"likelihood": "normal"}, "no likelihood 'normal'.*Known: bernoulli"),
        ({"latent_dim": 0}, "latent_dim >= 1, received 0"),
    ],
)
def test_every_preset_refuses_what_does_not_exist(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        preset(name)(MNIST, **arguments)


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no model 'betavae'. Did you mean 'beta-vae'"):
        preset("betavae")
