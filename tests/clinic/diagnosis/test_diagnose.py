"""Each broken model has exactly its finding, and a healthy one none."""

import importlib
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import kelbo
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.errors import DataError, UsageError
from kelbo.objectives import ELBO
from tests.clinic.diagnosis import models
from tests.clinic.diagnosis.models import DIM, LATENT, SHAPE, foreign_vae, images, make_decoder
from tests.clinic.foreign.models import (
    conditional,
    flat,
    halves,
    of_labels,
    renamed,
    unnamed,
)

model = pytest.fixture(models.healthy_vae, name="model")


def names(diagnosis):
    return [finding.name for finding in diagnosis.findings if finding.severity != "note"]


def finding(model, x=None, **options):
    """The one thing that is wrong."""
    diagnosis = kelbo.diagnose(model, images() if x is None else x, **options)
    json.dumps(diagnosis.to_dict(), allow_nan=False)
    assert len(names(diagnosis)) == 1, str(diagnosis)
    (found,) = (one for one in diagnosis.findings if one.severity != "note")
    for part in (found.name, found.title, found.meaning, found.cure):
        assert part in str(diagnosis)
    return found


def test_a_healthy_model_has_no_finding(model):
    diagnosis = kelbo.diagnose(model, images())
    assert names(diagnosis) == []
    assert "Nothing is wrong." in str(diagnosis)
    figures = diagnosis.figures
    assert figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    assert figures["elbo"] == pytest.approx(figures["reconstruction"] - figures["kl"])
    assert figures["nats_from_z"] > 1.0
    assert figures["active_units"] == len(figures["active_dimensions"]) >= 2
    logged = model.evaluate(images(), batch_size=120, verbose=0, return_dict=True)
    assert figures["kl"] == pytest.approx(logged["kl"], rel=1e-4)
    assert figures["reconstruction"] == pytest.approx(logged["reconstruction"], abs=0.5)


def test_a_healthy_autoencoder_has_no_finding():
    posterior = kelbo.DeterministicPosterior(models.linear_encoder(), LATENT)
    model = kelbo.AE(posterior, kelbo.BernoulliLikelihood(models.linear_decoder()))
    identity, mu, _, decoder = models.healthy_weights()
    model.posterior.network.get_layer("enc_dense").set_weights(identity)
    model.posterior.z.set_weights(mu)
    model.likelihood.network.get_layer("dec_dense").set_weights(decoder)
    model.compile("adam")
    diagnosis = kelbo.diagnose(model, images())
    assert names(diagnosis) == [] and diagnosis.unmeasured == {}
    assert "kl" not in diagnosis.figures
    model.posterior.z.set_weights([np.zeros((DIM, LATENT)), np.zeros(LATENT)])
    models.show_mean(model)
    found = finding(model)
    assert found.name == "posterior-collapse" and "KL" not in found.cure


def test_a_healthy_model_that_is_not_kelbos_has_no_finding():
    model = foreign_vae(decoder=models.linear_decoder("sigmoid"))
    identity, mu, log_var, decoder = models.healthy_weights()
    x = keras.Input(SHAPE)
    dense = [
        keras.layers.Dense(len(bias), name=name)
        for name, (_, bias) in zip(
            ("hidden", "mu", "log_var"), (identity, mu, log_var), strict=True
        )
    ]
    hidden = dense[0](keras.layers.Flatten()(x))
    q = [dense[1](hidden), dense[2](hidden)]
    model.encoder = keras.Model(x, [*q, models.Sampling()(q)])
    for layer, weights in zip(dense, (identity, mu, log_var), strict=True):
        layer.set_weights(weights)
    model.decoder.get_layer("dec_dense").set_weights(decoder)
    model.compile("adam")
    diagnosis = kelbo.diagnose(model, images())
    assert names(diagnosis) == [] and diagnosis.unmeasured == {}
    assert diagnosis.figures["likelihood"] == "Bernoulli from probabilities"
    assert diagnosis.figures["kl"] == pytest.approx(3.0, rel=0.3)


def test_a_constant_encoder_is_a_collapse(model):
    models.collapse(model)
    found = finding(model)
    assert (found.name, found.severity) == ("posterior-collapse", "error")
    assert found.figures["inactive_dimensions"] == [0, 1, 2]
    assert "since" not in found.meaning
    metrics = {"kl": [3.0, 0.001, 2.0, 0.02, 0.01]}
    assert "since epoch 4 of 5" in finding(model, metrics=metrics).meaning


def test_codes_of_a_small_scale_are_no_collapse(model):
    # The same code fifty times smaller, its noise too, and a decoder that enlarges it again.
    _, mu, log_var, decoder = models.healthy_weights()
    model.posterior.mu.set_weights([weight / 50.0 for weight in mu])
    model.posterior.log_var.set_weights([log_var[0], log_var[1] - 2.0 * np.log(50.0)])
    model.likelihood.network.get_layer("dec_dense").set_weights([decoder[0] * 50.0, decoder[1]])
    diagnosis = kelbo.diagnose(model, images())
    assert diagnosis.figures["active_units"] == 0 and diagnosis.figures["nats_from_z"] > 1.0
    # Their KL against a prior of scale 1 is large, of course.
    assert names(diagnosis) == ["elbo-below-independent-pixels"]


def test_after_a_few_steps_a_collapse_is_a_warning(model):
    models.collapse(model)
    model.optimizer.iterations.assign(3)
    found = finding(model)
    assert (found.name, found.severity) == ("posterior-collapse", "warning")
    assert found.cure.startswith("Train on first: this is after 3 training steps")
    model.optimizer.iterations.assign(400)
    assert finding(model).severity == "error"


def test_no_cure_is_advised_that_the_model_cannot_take():
    model = models.healthy_vae(kelbo.IWAE(3))
    models.collapse(model)
    (found,) = (one for one in kelbo.diagnose(model, images()).findings)
    assert found.name == "posterior-collapse"
    assert "warm" not in found.cure and found.cure.startswith("Train longer")


@pytest.mark.parametrize("seed", range(5))
def test_draws_of_one_posterior_are_no_code(model, seed):
    # A decoder that makes much of z: a datum's own draw is better than another's by chance.
    for head in (model.posterior.mu, model.posterior.log_var):
        head.set_weights([np.zeros((DIM, LATENT)), np.zeros(LATENT)])
    assert finding(model, seed=seed).name == "posterior-collapse"


def finding_of(diagnosis, name):
    (found,) = (one for one in diagnosis.findings if one.name == name)
    return found


def test_a_dimension_that_is_not_used_is_named_and_is_no_fault(model):
    for head in (model.posterior.mu, model.posterior.log_var):
        kernel, bias = (np.array(weight) for weight in head.get_weights())
        kernel[:, 1], bias[1] = 0.0, 0.0
        head.set_weights([kernel, bias])
    found = finding_of(kelbo.diagnose(model, images()), "inactive-dimensions")
    assert found.severity == "note"
    assert found.figures["inactive_dimensions"] == [1]


def test_a_decoder_that_ignores_z(model):
    models.show_mean(model)
    found = finding(model)
    assert found.name == "decoder-ignores-z"
    assert found.figures["nats_from_z"] == pytest.approx(0.0, abs=1e-5)


def test_log_var_of_30(model):
    # The decoder does not look at the dimension: only its log_var is wrong.
    kernel, bias = models.healthy_weights()[3]
    kernel[1] = 0.0
    model.likelihood.network.get_layer("dec_dense").set_weights([kernel, bias])
    model.posterior.log_var.bias.assign([-2.4, 30.0, -2.4])
    found = finding(model)
    assert found.name == "log-var-out-of-range"
    assert found.figures["largest_log_var"] == pytest.approx(30.0)
    assert "dimensions 1 " in found.meaning


def test_a_sigma_of_0_is_not_taken_for_another_order():
    model = foreign_vae()
    model.encoder.get_layer("log_var").bias.assign(np.full(LATENT, -2000.0))
    found = names(kelbo.diagnose(model, images()))
    assert "log-var-out-of-range" in found and "z-is-no-draw" not in found


@pytest.mark.parametrize(
    ("head", "value", "title"),
    [("log_var", 100.0, "log_var is as large as 100"), ("mu", 1e30, "The KL is not finite")],
)
def test_an_overflow_outside_of_the_layers(model, head, value, title):
    getattr(model.posterior, head).bias.assign(np.full(LATENT, value))
    found = finding(model)
    assert (found.title, found.severity) == (title, "error")


def test_a_reconstruction_below_independent_pixels(model):
    kernel, bias = models.healthy_weights()[3]
    model.likelihood.network.get_layer("dec_dense").set_weights([kernel * 0.075, bias + 3.0])
    found = finding(model)
    assert found.name == "below-independent-pixels"
    on = images().mean()  # half of the pixels, nearly: log 2 nats a pixel
    assert found.figures["independent_pixels"] == pytest.approx(DIM * np.log(2), rel=0.01)
    assert found.figures["reconstruction"] == pytest.approx(
        -DIM * (on * 0.036 + (1 - on) * 2.765), rel=0.02
    )


@pytest.mark.parametrize(
    ("weight", "name", "words"),
    [
        (0.0, "kl-does-not-reach-the-encoder", "autoencoder"),
        (1e-6, "effective-beta", "0.00000100"),  # as in latent diffusion
        (-1.0, "kl-has-the-wrong-sign", "-1"),
        (49.0, "effective-beta", "49 times more"),
    ],
)
def test_the_weight_of_the_kl(weight, name, words):
    found = finding_of(kelbo.diagnose(foreign_vae(weight=weight), images()), name)
    assert words in f"{found.title} {found.meaning}"


@pytest.mark.parametrize(("weight", "also"), [(-1.0, True), (1.0, False), (0.0, False)])
def test_a_reconstruction_that_is_made_worse(weight, also):
    model = foreign_vae(lambda x, p: -models.cross_entropy(x, p), weight)
    diagnosis = kelbo.diagnose(model, images())
    found = finding_of(diagnosis, "reconstruction-has-the-wrong-sign")
    assert found.severity == "error"
    assert ("the loss is the ELBO" in found.meaning) == also
    assert not {"kl-has-the-wrong-sign", "effective-beta"} & set(names(diagnosis))


def test_a_mean_beside_a_sum_is_named():
    model = foreign_vae(models.mean_cross_entropy)
    found = finding_of(kelbo.diagnose(model, images()), "effective-beta")
    assert found.figures["effective_beta"] == pytest.approx(DIM, rel=3e-3)
    assert f"averaged over the {DIM} values of a datum" in found.meaning
    assert f"summed over the {LATENT} latent dimensions" in found.meaning


def test_a_beta_that_was_chosen_is_stated(model):
    model.objective = ELBO(4.0)
    assert finding(model).name == "effective-beta"


def test_certain_and_wrong(model):
    decoder = model.likelihood.network.get_layer("dec_dense")
    decoder.bias.assign(np.where(np.arange(DIM) == 5, 60.0, 0.0))
    found = finding_of(kelbo.diagnose(model, images()), "saturated-output")
    off = (images().reshape(-1, DIM)[:, 5] == 0).mean()
    assert found.figures["saturated_share"] == pytest.approx(1 / DIM, rel=0.05)
    assert found.figures["saturated_nats"] == pytest.approx(off * 56.0, rel=0.05)


@pytest.mark.parametrize("scale", [255.0, np.nan])
def test_data_that_are_none(model, scale):
    assert finding(model, images() * scale).name == "data-outside-the-support"
    assert finding(foreign_vae(), images() * scale).name == "data-outside-the-support"


@pytest.mark.parametrize("activation", ["tanh", None])
def test_what_is_no_probability_in_a_cross_entropy(activation):
    model = foreign_vae(decoder=make_decoder(activation))
    (found,) = kelbo.diagnose(model, images()).findings
    assert (found.name, found.severity) == ("no-probabilities", "error")
    assert found.figures["smallest_output"] < 0.0
    if keras.backend.backend() != "torch":  # which refuses such data itself
        both = kelbo.diagnose(model, 2.0 * images() - 1.0)
        assert names(both) == ["no-probabilities", "data-outside-the-support"]
    # A squared error takes what it gets.
    model = foreign_vae(models.mean_squared_error, 1 / LATENT, decoder=make_decoder(activation))
    assert "no-probabilities" not in names(kelbo.diagnose(model, images()))


def test_a_nan_weight_and_the_layer_after_it(model):
    model.posterior.network.get_layer("enc_dense").bias.assign(np.full(DIM, np.nan))
    found = finding(model)
    assert found.name == "not-finite"
    assert found.title.endswith("enc_dense/bias is not finite")
    assert "with NaN or infinity is enc_dense." in found.meaning


def test_the_first_layer_that_overflows(model):
    layer = model.likelihood.network.get_layer("dec_dense")
    layer.set_weights([np.full((LATENT, DIM), 3e38), np.full(DIM, 3e38)])
    assert "The layer dec_dense is the first" in finding(model).title
    assert "call" not in vars(layer)


def test_data_that_are_not_scaled_are_named_before_the_model(monkeypatch):
    model = foreign_vae()
    for layer in model.encoder.layers[2:5]:
        layer.set_weights([10.0 * np.ones_like(weight) for weight in layer.get_weights()])
    model.encoder.get_layer("log_var").activation = keras.ops.exp
    assert "The data" not in finding(model).cure
    assert finding(model, 255.0 * images()).cure.startswith(
        "The data reach from 0 to 255: scale them, images by x / 255."
    )


def test_a_model_that_is_not_compiled_is_diagnosed_as_far_as_it_goes(model):
    model.compiled = False
    diagnosis = kelbo.diagnose(model, images())
    assert names(diagnosis) == []
    assert "Nothing wrong was found in what could be measured." in str(diagnosis)
    assert "not compiled" in diagnosis.unmeasured["kl_weight"]
    assert diagnosis.figures["effective_beta"] == 1.0


def test_parts_that_are_not_found_are_asked_for():
    encoder, decoder = models.make_encoder(), make_decoder()
    whole = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
    with pytest.raises(UsageError, match="has no encoder.*encoder=.*decoder="):
        kelbo.diagnose(whole, images())
    one_output = keras.Model(encoder.inputs, encoder.outputs[2])
    with pytest.raises(UsageError, match="returns mu, log_var and perhaps z"):
        kelbo.diagnose(whole, images(), encoder=one_output, decoder=decoder)
    diagnosis = kelbo.diagnose(whole, images(), encoder=encoder, decoder=decoder)
    assert set(diagnosis.unmeasured) == {"kl_weight", "reconstruction"}


def test_a_functional_model_in_one_piece_needs_no_help():
    model, encoder, decoder = unnamed()
    x = images().reshape(-1, DIM)
    diagnosis = kelbo.diagnose(model, x, x)
    told = kelbo.diagnose(model, x, x, encoder=encoder, decoder=decoder)
    assert dict(diagnosis.figures) == dict(told.figures)
    assert encoder.output_names[0] in diagnosis.origin["encoder"]
    # The sum over the data, in the loss of compile, of a mean over 16 pixels.
    assert diagnosis.figures["effective_beta"] == pytest.approx(DIM / 64, rel=3e-3)


@pytest.mark.parametrize(
    "names", [("enc", "dec"), ("inference_net", "generative_net"), ("phi", "theta")]
)
def test_parts_are_found_whatever_their_attributes_are_called(names):
    class Other(models.ForeignVAE):
        def call(self, x):
            mu, log_var, z = getattr(self, names[0])(x)
            return getattr(self, names[1])(z), mu, log_var

    encoder, decoder = models.make_encoder(), make_decoder()
    model = Other(encoder=keras.layers.Identity(), decoder=keras.layers.Identity())
    del model.encoder, model.decoder
    setattr(model, names[0], keras.Model(encoder.input, encoder.output, name="first"))
    setattr(model, names[1], keras.Model(decoder.input, decoder.output, name="second"))
    model.compile("adam")
    assert kelbo.diagnose(model, images()).figures["effective_beta"] == pytest.approx(1, rel=3e-3)


def test_halves_of_one_output():
    diagnosis = kelbo.diagnose(halves(), images())
    assert diagnosis.figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    assert len(diagnosis.figures["kl_per_dimension"]) == LATENT


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_a_z_that_is_an_image(two, weight):
    sampling = models.Sampling()

    class OfImages(models.ForeignVAE):
        def call(self, x):
            if not two:
                return super().call(x)
            q = keras.ops.split(self.encoder(x), 2, axis=-1)
            return self.decoder(sampling(q)), *q

    model = OfImages(
        weight=weight, encoder=models.image_encoder(two), decoder=models.image_decoder()
    )
    model.compile("adam")
    figures = kelbo.diagnose(model, images()).figures
    assert figures["effective_beta"] == pytest.approx(weight, rel=3e-3)
    mu, log_var = model(images())[1:]
    kl = keras.ops.convert_to_numpy(0.5 * (mu**2 + keras.ops.exp(log_var) - 1 - log_var))
    np.testing.assert_allclose(figures["kl_per_dimension"], kl.mean(axis=0).ravel(), rtol=1e-4)


def test_noise_in_training_alone_is_noise():
    class Draw(models.Sampling):
        def call(self, inputs, training=None):
            return super().call(inputs) if training else inputs[0] + 0.0

    x = keras.Input(SHAPE)
    q = [keras.layers.Dense(LATENT)(keras.layers.Flatten()(x)) for _ in range(2)]
    model = foreign_vae(encoder=keras.Model(x, [*q, Draw()(q)]))
    assert "z-is-no-draw" not in names(kelbo.diagnose(model, images()))


@pytest.mark.parametrize(
    ("order", "sigma", "said"),
    [
        ("mvz", lambda v: keras.ops.exp(v), "the first is mu and the second is log sigma"),
        ("mvz", lambda v: 0.3 * keras.ops.exp(0.5 * v), "a mean of"),
        ("mvz", lambda v: 0.0 * v, "z is mu"),
        ("zmv", lambda v: keras.ops.exp(0.5 * v), "the second is mu and the third is log_var"),
        ("vmz", lambda v: keras.ops.exp(0.5 * v), "the second is mu and the first is log_var"),
    ],
)
def test_a_z_that_is_no_draw_of_mu_and_log_var(order, sigma, said):
    seed = keras.random.SeedGenerator(5)

    class Draw(keras.layers.Layer):
        def call(self, inputs):
            mu, v = inputs
            return mu + sigma(v) * keras.random.normal(keras.ops.shape(mu), seed=seed)

    x = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(x)
    # Neither is as a draw of the other would be.
    mu = 4.0 * keras.layers.Dense(LATENT)(flat) + 1.0
    v = 0.1 * keras.layers.Dense(LATENT)(flat) - 1.5
    outputs = {"m": mu, "v": v, "z": Draw()([mu, v])}
    model = foreign_vae(encoder=keras.Model(x, [outputs[one] for one in order]))
    (found,) = kelbo.diagnose(model, images(500)).findings
    assert found.name == "z-is-no-draw"
    assert said in found.meaning
    assert found.severity == ("warning" if said == "a mean of" else "error")


def test_the_kl_of_a_log_sigma_is_measured():
    x = keras.Input(SHAPE)
    h = keras.layers.Flatten()(x)
    twice = keras.layers.Rescaling(2.0)
    q = [keras.layers.Dense(LATENT)(h), twice(keras.layers.Dense(LATENT)(h))]
    model = foreign_vae(encoder=keras.Model(x, [*q, models.Sampling()(q)]), weight=3.0)
    assert kelbo.diagnose(model, images()).figures["effective_beta"] == pytest.approx(3, rel=3e-3)


@pytest.mark.parametrize("as_given", [list, tuple])
def test_a_condition_is_given_as_to_fit(as_given):
    label = np.eye(2)[np.arange(120) % 2].astype("float32")
    diagnosis = kelbo.diagnose(conditional(), as_given([images(), label]), images())
    assert diagnosis.figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    assert "120 data of 4 x 4 x 1" in diagnosis.subject


class Joined(keras.Model):
    """A network without a graph, of what it gets side by side."""

    def __init__(self, *outputs):
        super().__init__()
        self.outer = outputs

    def call(self, inputs):
        flat = [keras.ops.reshape(one, (-1, int(np.prod(one.shape[1:])))) for one in inputs]
        found = [layer(keras.ops.concatenate(flat, axis=-1)) for layer in self.outer]
        return found if len(found) > 1 else keras.ops.reshape(found[0], (-1, *SHAPE))


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_condition_beside_a_network_without_a_graph_is_asked_for(part):
    dense = keras.layers.Dense
    network = {
        "encoder": lambda: Joined(*(dense(LATENT) for _ in range(3))),
        "decoder": lambda: Joined(dense(DIM, "sigmoid")),
    }[part]()
    model = of_labels(**{part: network})
    x = [images(), np.eye(LATENT)[np.arange(120) % LATENT].astype("float32")]
    with pytest.raises(UsageError, match=f"takes 2 inputs.*{part}=keras.Model"):
        kelbo.diagnose(model, x)
    inputs = {
        "encoder": [keras.Input(SHAPE), keras.Input((LATENT,), name="label")],
        "decoder": [keras.Input((LATENT,), name=name) for name in ("label", "z")],
    }[part]
    subject = subject_of(model, **{part: keras.Model(inputs, network(inputs))})
    mu, _ = subject.encode(x[0], x[1:])
    outputs = (mu, subject.decode(mu, x[1:]))
    expected = (model.encoder(x)[0], model.decoder([x[1], mu]))
    for one, other in zip(expected, outputs, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(one), other, rtol=1e-5, atol=1e-6)


def test_only_the_part_that_is_missing_is_searched_for():
    x = keras.Input((DIM,))
    one, two = keras.layers.Dense(LATENT)(x), keras.layers.Dense(LATENT)(x)
    decoded = keras.layers.Dense(DIM, "sigmoid", name="to_x")
    no_names = keras.Model(x, decoded(one + keras.ops.exp(0.5 * two)))
    encoder = keras.Model(x, [one, two])
    subject = subject_of(no_names, encoder=encoder)
    assert subject.encoder is encoder and list(subject.origin) == ["decoder"]
    assert "to to_x" in subject.origin["decoder"] and subject.decoder.weights == decoded.weights
    with pytest.raises(UsageError, match="no encoder or no decoder.*one encoder"):
        subject_of(no_names)

    q = [keras.layers.Dense(LATENT, name=name)(x) for name in ("z_mean", "z_log_var")]
    joined = keras.layers.Concatenate()([models.Sampling()(q), q[0]])
    past_z = keras.Model(x, keras.layers.Dense(DIM)(joined))
    z = keras.Input((LATENT,))
    decoder = keras.Model(z, past_z.layers[-1](keras.layers.Concatenate()([z, z])))
    subject = subject_of(past_z, decoder=decoder)
    assert subject.decoder is decoder and list(subject.origin) == ["encoder"]
    with pytest.raises(UsageError, match="no encoder or no decoder.*one decoder"):
        subject_of(past_z)
    z = keras.Input((LATENT + 1,))
    with pytest.raises(UsageError, match=r"a decoder from z of shape \(3,\).*\(None, 4\)"):
        subject_of(past_z, decoder=keras.Model(z, keras.layers.Dense(DIM)(z)))


def test_a_passed_encoder_of_its_own_layers_leads_to_the_decoder():
    model, encoder, _ = flat()
    copy = keras.models.clone_model(encoder)
    with pytest.raises(UsageError, match="no encoder or no decoder.*one decoder"):
        subject_of(model, encoder=copy)
    outer = models.ForeignVAE(encoder=keras.layers.Identity(), decoder=keras.layers.Identity())
    del outer.encoder, outer.decoder
    outer.to_image = renamed(make_decoder(), "to_image")
    subject = subject_of(outer, encoder=models.make_encoder())
    assert subject.origin == {"decoder": "'to_image'"}
    assert subject.decoder.weights == outer.to_image.weights
    with pytest.raises(UsageError, match="no functional or sequential network"):
        subject_of(outer, encoder=Joined(keras.layers.Dense(3), keras.layers.Dense(3)))


def with_trunk(heads=True):
    """A layer called encoder that ends before mu and log_var."""
    x, h = keras.Input((DIM,)), keras.Input((DIM,))
    trunk = keras.Model(h, keras.layers.Dense(12, "tanh")(h), name="encoder")(x)
    q = [keras.layers.Dense(LATENT, name=name)(trunk) for name in ("z_mean", "z_log_var")]
    z = keras.Input((LATENT,))
    decoder = keras.Model(z, keras.layers.Dense(DIM, "sigmoid")(z), name="decoder")
    sampled = models.Sampling()(q) if heads else q[0]
    return keras.Model(x, decoder(sampled)), keras.Model(x, q)


def test_a_trunk_that_is_called_encoder_is_not_taken_for_it(tmp_path):
    model, encoder = with_trunk()
    model.compile("adam", "mse")
    x = images().reshape(-1, DIM)
    model.save(tmp_path / "model.keras")
    expected = [keras.ops.convert_to_numpy(one) for one in encoder(x)]
    for subject in (subject_of(model), kelbo.read_model(tmp_path / "model.keras")):
        assert "up to z_mean and z_log_var" in subject.origin["encoder"]
        for one, other in zip(expected, subject.encode(x), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match="'encoder' returns 1 output"):
        subject_of(with_trunk(heads=False)[0])


def test_labels_for_a_condition_of_no_known_size_are_refused(model):
    subject = replace(subject_of(model), conditions=((None,),))
    with pytest.raises(DataError, match=r"conditions of shape \(None,\).*Pass them in Python"):
        subject.conditions_of(np.arange(3))


class InMethods(models.ForeignVAE):
    """The way of PyTorch's example: layers as attributes, and encode and decode as methods."""

    def __init__(self, halves=False, foreign=False):
        super().__init__(encoder=keras.layers.Identity(), decoder=keras.layers.Identity())
        del self.encoder, self.decoder
        self.halves, self.foreign = halves, foreign
        self.flat, self.to_image = keras.layers.Flatten(), keras.layers.Reshape(SHAPE)
        self.fc1, self.fc3 = (keras.layers.Dense(12, "tanh") for _ in range(2))
        self.fc2, self.fc4 = keras.layers.Dense(2 * LATENT), keras.layers.Dense(DIM)
        self.sampling = models.Sampling()

    def encode(self, x):
        q = self.fc2(self.fc1(self.flat(x)))
        if self.foreign:
            q = np.asarray(q)
        return q if self.halves else (q[:, :LATENT], q[:, LATENT:])

    def decode(self, z):
        return keras.ops.sigmoid(self.to_image(self.fc4(self.fc3(z))))

    def call(self, x):
        q = self.encode(x)
        mu, log_var = keras.ops.split(q, 2, axis=-1) if self.halves else q
        return self.decode(self.sampling([mu, log_var])), mu, log_var


@pytest.mark.parametrize("halves", [False, True])
def test_networks_may_be_in_methods(halves):
    model = InMethods(halves)
    model.compile("adam")
    model.fit(images(), verbose=0)
    diagnosis = kelbo.diagnose(model, images())
    assert diagnosis.figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    assert diagnosis.origin["encoder"].startswith("encode(x), 'encoder' up to ")
    expected = [keras.ops.convert_to_numpy(one) for one in model(images())[1:]]
    q = subject_of(model, x=images()).encode(images())
    for one, other in zip(expected, q, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_methods_that_take_no_symbolic_tensors_are_said_to():
    with pytest.raises(UsageError, match="encode and decode of 'foreign' cannot.*keras.ops"):
        kelbo.diagnose(InMethods(foreign=True), images())
    with pytest.raises(UsageError, match="known whether decode takes half of what encode gives"):
        kelbo.diagnose(InMethods(halves=True), images())


@pytest.mark.parametrize("order", [("a", "b"), ("z_log_var", "z_mean"), ("z_mean", "z_log_var")])
def test_outputs_are_known_by_their_names_else_by_their_order(order):
    inputs, mu, log_var = keras.Input(SHAPE), 2.0, -7.0
    flat = keras.layers.Flatten()(inputs)

    def constant(value, name):
        layer = keras.layers.Dense(LATENT, "linear", True, "zeros", name=name)
        output = layer(flat)
        layer.bias.assign(np.full(LATENT, value))
        return output

    values = (log_var, mu) if "log_var" in order[0] else (mu, log_var)
    outputs = [constant(value, name) for value, name in zip(values, order, strict=True)]
    for structure in (outputs, dict(zip(order, outputs, strict=True))):
        if isinstance(structure, dict) and order[0] == "a":
            continue
        model = foreign_vae(encoder=keras.Model(inputs, structure))
        figures = kelbo.diagnose(model, images()).figures
        expected = 0.5 * (np.exp(log_var) + mu**2 - 1 - log_var)
        np.testing.assert_allclose(figures["kl_per_dimension"], [expected] * LATENT, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda h: keras.layers.Dense(LATENT, name="z_log_sigma")(h), "z_log_sigma"),
        (lambda h: keras.layers.Dense(LATENT, "softplus", name="b")(h), "b"),
        (lambda h: keras.ops.exp(h[:, :LATENT]), "exp"),
    ],
)
def test_sigma_is_not_taken_for_log_var(make, name):
    x = keras.Input(SHAPE)
    h = keras.layers.Flatten()(x)
    mu, second = keras.layers.Dense(LATENT, name="z_mean")(h), make(h)
    with pytest.raises(UsageError, match=f"'{name}.* seems to be sigma.*2 \\* log_sigma"):
        kelbo.diagnose(foreign_vae(encoder=keras.Model(x, [mu, second])), images())
    assert kelbo.diagnose(foreign_vae(encoder=keras.Model(x, [mu, 2 * second])), images())


def test_each_datum_keeps_its_target_whatever_their_sizes(monkeypatch):
    x = keras.Input((4, 4, 2))
    model = foreign_vae(encoder=keras.Model(x, models.make_encoder()(x[..., :1])))
    # x has twice the values of its target.
    module = importlib.import_module("kelbo.clinic.diagnosis.diagnose")
    monkeypatch.setattr(module, "_VALUES", 60 * 2 * DIM)
    y = images()
    diagnosis = kelbo.diagnose(model, np.repeat(y, 2, axis=-1), y)
    assert "60 data of 4 x 4 x 2" in diagnosis.subject
    assert diagnosis.figures["effective_beta"] == pytest.approx(1.0, rel=3e-3)
    with pytest.raises(DataError, match="a target for each of 120 data, received 50"):
        kelbo.diagnose(model, np.repeat(y, 2, axis=-1), y[:50])


@pytest.mark.parametrize("model", ["vae.keras", None])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(UsageError, match="Expected a keras.Model, received .* kelbo.load_model"):
        kelbo.diagnose(model, images())


@pytest.mark.parametrize("x", [[1.0], np.zeros((1, *SHAPE)), np.zeros((5, 3, 3, 1))])
def test_data_of_another_form_are_refused(model, x):
    with pytest.raises(DataError, match="Expected an array of at least two|takes data of shape"):
        kelbo.diagnose(model, x)


def test_a_kl_that_costs_more_than_z_gains(model):
    model.posterior.mu.bias.assign(model.posterior.mu.bias - 30.0)
    decoder = model.likelihood.network.get_layer("dec_dense")
    decoder.bias.assign(decoder.bias + 4.0 * 30.0)
    diagnosis = kelbo.diagnose(model, images())
    (found,) = diagnosis.findings
    assert found.name == "elbo-below-independent-pixels"
    assert found.figures["elbo"] == diagnosis.figures["elbo"] < -1000.0
    assert found.figures["independent_pixels"] < DIM
    # The weight of the KL is right, so it is the KL that is looked at.
    assert found.cure.startswith("Check the KL in the loss")


def test_a_sum_of_squares_and_the_kl_is_an_elbo():
    def sum_of_squares(x, y):
        return keras.ops.sum(keras.ops.square(x - y), axis=(1, 2, 3))

    diagnosis = kelbo.diagnose(foreign_vae(sum_of_squares), images())
    assert diagnosis.figures["effective_beta"] == pytest.approx(0.5, rel=3e-3)
    assert "effective-beta" not in names(diagnosis)
    model = foreign_vae(sum_of_squares, 1 / LATENT)
    found = finding_of(kelbo.diagnose(model, images()), "effective-beta")
    assert f"summed over the {DIM} values of a datum (squared error, twice" in found.meaning


def test_twice_the_kl_is_no_squared_error():
    found = finding_of(kelbo.diagnose(foreign_vae(weight=2.0), images()), "effective-beta")
    assert "squared error" not in found.meaning


def test_a_decoder_that_never_reads_z_and_an_encoder_that_never_reads_x():
    z = keras.Input((LATENT,))
    x = keras.layers.Dense(DIM, "sigmoid")(keras.ops.zeros_like(z))
    deaf = foreign_vae(decoder=keras.Model(z, keras.layers.Reshape(SHAPE)(x)))
    blind = foreign_vae()
    for model in (deaf, blind):
        for name in ("mu", "log_var"):
            layer = model.encoder.get_layer(name)
            scale = 1e-4 if model is deaf else 0.0
            layer.set_weights([scale * weight for weight in layer.get_weights()])
    collapsed = finding_of(kelbo.diagnose(deaf, images()), "posterior-collapse")
    assert collapsed.cure.endswith("whatever z is: check that its input is z.")
    collapsed = finding_of(kelbo.diagnose(blind, images()), "posterior-collapse")
    assert "check that x reaches it" in collapsed.cure


def test_a_decoder_of_mean_and_log_var():
    z = keras.Input((LATENT,))
    h = keras.layers.Dense(12, "tanh")(z)
    outputs = [keras.layers.Reshape(SHAPE)(keras.layers.Dense(DIM)(h)) for _ in range(2)]

    class Gaussian(models.ForeignVAE):
        def call(self, x):
            mu, log_var, z = self.encoder(x)
            return [*self.decoder(z), mu, log_var]

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            mean, second, mu, log_var = y_pred
            error = keras.ops.square(x - mean) * keras.ops.exp(-second) + second
            return super().compute_loss(x, x, (0.5 * error, mu, log_var))

    model = Gaussian(
        lambda x, error: keras.ops.sum(error, axis=(1, 2, 3)), 2.0, decoder=keras.Model(z, outputs)
    )
    model.compile("adam")
    figures = kelbo.diagnose(model, images()).figures
    assert figures["likelihood"] == "Gaussian of mean and log_var"
    assert figures["effective_beta"] == pytest.approx(2.0, rel=3e-3)
