import keras
import numpy as np
import pytest

import kelbo
from kelbo.data.description import DataDescription
from kelbo.distributions import Factorised
from kelbo.errors import UsageError
from kelbo.presets import LIKELIHOODS, PRESETS, Design, Warmup, make, preset
from kelbo.support import UNIT_INTERVAL
from tests.support import data, to_numpy, unnamed

MNIST = (28, 28, 1)
ABOUT = DataDescription((12, 11, 2), UNIT_INTERVAL, count=10, classes=None, kind="image")


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
    trace, p = model.trace(x), model.likelihood
    assert trace.z.shape == (2, 3)
    assert [output.shape[1:] for output in p.network.outputs] == p.output_shapes(
        (5, 4, 2), **p.options
    )
    # As from the network's outputs by hand: every dimension of every pixel counts once.
    outputs = keras.tree.flatten(p.network(trace.z))
    by_hand = p.distribution(p.parameters(outputs))
    if isinstance(by_hand, Factorised):
        each = by_hand.log_prob_per_dimension(x)
        assert each.shape == (2, 5, 4, 2)
        expected = to_numpy(each).sum(axis=(1, 2, 3))
    else:
        expected = to_numpy(by_hand.log_prob(x))
    np.testing.assert_allclose(to_numpy(trace.log_px_z), expected, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_by_name_is_its_function_with_the_options_that_it_declares(name):
    design = Design.of(name, {"network": "mlp"})
    declared = {design.spelled(family, one.name): value for family, one, value in design.options()}
    assert getattr(kelbo.presets, name.replace("-", "_")) is preset(name)
    by_name = make(name, ABOUT, network="mlp", latent_dim=4, seed=0)
    spelled = make(name, ABOUT, network="mlp", latent_dim=4, seed=0, **declared)
    plain = preset(name)(ABOUT.shape, network="mlp", latent_dim=4, seed=0)
    assert unnamed(by_name.get_config()) == unnamed(spelled.get_config())
    assert by_name.objective.get_config() == plain.objective.get_config()
    assert (by_name.data_shape, by_name.latent_dim) == (ABOUT.shape, 4)


@pytest.mark.parametrize(
    ("choices", "batch_size", "steps", "beta"),
    [
        ({"warmup_epochs": 5}, 4, 15, 1.0),
        ({"warmup_epochs": 0.5, "beta": 3}, 4, 2, 3.0),
        ({"warmup_epochs": 0.01}, 4, 1, 1.0),
        ({"beta": Warmup(2.0, 0.5)}, 10, 2, 0.5),
        ({"warmup_steps": 7}, 4, 7, 1.0),
        ({"warmup_epochs": 2, "schedule": "cosine", "beta": 2}, 10, 2, 2.0),
        ({"warmup_steps": 7, "schedule": "cyclical"}, 10, 7, 1.0),
    ],
)
def test_a_warm_up_counts_in_epochs_of_the_data(choices, batch_size, steps, beta):
    model = make("vae", ABOUT, batch_size=batch_size, network="mlp", **choices)
    schedule = model.objective.beta
    assert (schedule.steps, schedule.beta) == (steps, beta)
    kind = choices.get("schedule", "linear")
    assert type(schedule).__name__ == f"{kind.capitalize()}Warmup"


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("vea", {}, "no model 'vea'. Did you mean 'vae'"),
        ("vae", {"bata": 1}, "no option of the model 'vae' 'bata'. Did you mean 'beta'"),
        ("ae", {"bata": 1}, "no option of the model 'ae' 'bata'. Known: activation, depth"),
        ("ae", {"beta": 1}, "'ae' takes no beta: an autoencoder has no KL. .*--model beta-vae"),
        ("iwae", {"warmup_epochs": 1}, "no warmup_epochs: the importance-weighted bound has no"),
        ("article", {"beta": 1}, "no beta: the article's .* own constant, the option weight"),
        ("vae", {"importance_samples": 5}, "no importance_samples. Leave it out.*--model iwae"),
        ("vae", {"beta": -1}, "Expected beta to be a finite number >= 0, received -1"),
        ("vae", {"beta": float("nan")}, "beta to be a finite number >= 0, received nan"),
        ("vae", {"beta": True}, "beta to be a finite number >= 0, received True"),
        ("iwae", {"importance_samples": 0}, "to be a whole number >= 1, received 0"),
        ("iwae", {"importance_samples": 2.0}, "to be a whole number >= 1, received 2.0"),
        ("vae", {"warmup_epochs": float("inf")}, "warmup_epochs to be a finite number >= 0"),
        ("vae", {"warmup_epochs": 1, "warmup_steps": 2}, "in epochs and in steps"),
        ("vae", {"schedule": "linaer"}, "no schedule 'linaer'. Did you mean 'linear'"),
        ("vae", {"beta": Warmup(1.0), "warmup_steps": 1}, "beta is a schedule already"),
    ],
)
def test_an_option_that_a_model_does_not_have_is_refused_with_the_reason(name, choices, message):
    with pytest.raises(UsageError, match=message):
        make(name, ABOUT, **choices)


@pytest.mark.parametrize(
    ("text", "value"), [("4", 4.0), ("1e-3", 1e-3), ("-1", None), ("four", None), ("", None)]
)
def test_an_option_reads_the_text_of_the_command_line(text, value):
    beta = Design.of("vae").option("beta")
    if value is None:
        with pytest.raises(UsageError, match="beta to be a finite number >= 0, received"):
            beta.parse(text)
    else:
        assert beta.parse(text) == value
