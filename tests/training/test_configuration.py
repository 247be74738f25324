import dataclasses
import subprocess
import sys
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from kelbo.errors import UsageError
from kelbo.precision import ALIASES, PRECISIONS
from kelbo.presets import LIKELIHOODS, NETWORKS
from kelbo.training.configuration import Configuration

text = st.text(st.characters(exclude_categories=["Cs"]))
positive = st.integers(1, 2**40)
numbers = st.floats(0.0, allow_infinity=False)
configurations = st.builds(
    Configuration,
    source=text,
    binarization=text,
    image_size=st.none() | st.tuples(positive, positive),
    channels=st.none() | st.integers(-5, 5),
    strict=st.booleans(),
    train_limit=st.none() | positive,
    test_limit=st.none() | positive,
    cache=st.booleans(),
    preset=st.sampled_from(["vae", "beta-vae"]),
    network=st.none() | st.sampled_from(list(NETWORKS)),
    latent_dim=positive,
    likelihood=st.none() | st.sampled_from(list(LIKELIHOODS)),
    precision=st.sampled_from(sorted([*PRECISIONS, *ALIASES])),
    options=st.fixed_dictionaries({}, optional={"beta": numbers, "warmup_epochs": numbers}),
    epochs=positive,
    batch_size=positive,
    learning_rate=numbers.filter(bool),
    seed=st.integers(0, 2**32 - 1),
    backend=st.none() | text,
)

WARM_UP = {"warmup_epochs": 2.0}
SEVEN = {"importance_samples": 7}


@given(configurations)
def test_a_configuration_comes_back_from_its_file(configuration):
    tables = tomllib.loads(tomli_w.dumps(configuration.to_toml()))
    assert Configuration.from_toml(tables, "config.toml") == configuration
    assert Configuration.from_toml(configuration.to_toml(), "config.toml") == configuration


def test_the_defaults_are_those_of_the_command_line():
    assert Configuration() == Configuration(
        source="mnist",
        binarization="none",
        image_size=None,
        channels=None,
        strict=False,
        train_limit=None,
        test_limit=None,
        preset="vae",
        network=None,
        latent_dim=16,
        likelihood=None,
        precision="float32",
        options={},
        epochs=3,
        batch_size=128,
        learning_rate=1e-3,
        seed=0,
        backend=None,
    )
    assert Configuration.from_toml({}, "config.toml") == Configuration()
    named = Configuration().with_parts_named()
    assert (named.network, named.likelihood) == ("conv", "bernoulli")


def test_an_option_of_a_family_is_in_its_table():
    configuration = Configuration(
        likelihood="gaussian", options={"likelihood.variance": 2, "objective.beta": 3}
    )
    assert configuration.options == {"variance": 2.0, "beta": 3.0}  # no other part has them
    tables = {"model": {"likelihood": "gaussian", "options": {"likelihood": {"variance": 2.0}}}}
    assert Configuration.from_toml(tables, "config.toml").options == {"variance": 2.0}


def test_what_is_given_changes_and_all_else_stays():
    configuration = Configuration(epochs=7)
    changed = configuration.with_changes(seed=3, epochs=None, strict=False)
    assert changed == dataclasses.replace(configuration, seed=3)


def test_options_are_added_to_those_of_the_file():
    configuration = Configuration(options={"beta": 2.0, "warmup_epochs": 3.0})
    changed = configuration.with_changes(options={"beta": 4.0})
    assert changed.options == {"beta": 4.0, "warmup_epochs": 3.0}


def test_a_whole_number_will_do_for_a_float():
    (beta,) = Configuration(options={"beta": 2}).options.values()
    assert (beta, type(beta)) == (2.0, float)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({"preset": "beta-vae", "beta": 10.0, "warmup_epochs": 2.0}, {"beta": 10.0} | WARM_UP),
        ({"warmup_epochs": 0.0}, {}),
        ({"preset": "ae", "warmup_epochs": 0.0}, {}),
        ({"preset": "iwae", "warmup_epochs": 0.0, "importance_samples": 7}, SEVEN),
        ({"preset": "iwae", "options": SEVEN}, SEVEN),
        ({"beta": 2, "options": WARM_UP}, {"beta": 2.0} | WARM_UP),
    ],
)
def test_options_in_model_as_kelbo_0_1_wrote_them_are_read(model, options):
    assert Configuration.from_toml({"model": model}, "config.toml").options == options


def test_one_number_is_a_square():
    configuration = Configuration.from_toml({"data": {"image_size": 28}}, "config.toml")
    assert configuration.image_size == (28, 28)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"modle": {}}, "mine.toml: There is no table 'modle'. Did you mean 'model'"),
        ({"model": 3}, r"expected a table \[model\], found 3"),
        ({"model": {"latent": 3}}, r"key in \[model\] 'latent'. Did you mean 'latent_dim'"),
        ({"training": {"latent_dim": 3}}, r"no key in \[training\] 'latent_dim'"),
        ({"model": {"latent_dim": "3"}}, "expected latent_dim to be a whole number, found '3'"),
        ({"model": {"latent_dim": 3.0}}, "expected latent_dim to be a whole number, found 3.0"),
        ({"training": {"seed": True}}, "expected seed to be a whole number, found True"),
        ({"data": {"strict": 1}}, "expected strict to be true or false, found 1"),
        ({"data": {"source": 1}}, 'expected source to be text in "quotes", found 1'),
        ({"model": {"beta": "much"}}, "mine.toml: Expected beta to be a finite number .*'much'"),
        ({"model": {"options": {"beta": True}}}, "Expected beta to be .*, received True"),
        ({"model": {"options": 3}}, r"mine.toml: expected a table \[model.options\], found 3"),
        (
            {"model": {"beta": 1, "options": {"beta": 2}}},
            r"beta is in \[model\] and in \[model.opt",
        ),
        ({"model": {"options": {"bata": 1}}}, "no option of the model 'vae' 'bata'. Did you mean"),
        ({"model": {"preset": "vea"}}, "mine.toml: There is no model 'vea'. Did you mean 'vae'"),
        ({"data": {"image_size": [28]}}, r"image_size to be \[height, width\]"),
        ({"data": {"image_size": [28, 2.5]}}, r"image_size to be \[height, width\]"),
        ({"data": {"image_size": [28, True]}}, r"image_size to be \[height, width\]"),
        ({"training": {"epochs": 0}}, "epochs >= 1, received 0"),
        ({"training": {"learning_rate": float("inf")}}, "learning_rate > 0, received inf"),
        ({"model": {"warmup_epochs": -1}}, "warmup_epochs to be a finite number >= 0, received -1"),
        ({"model": {"precision": "b16"}}, "no precision 'b16'. Did you mean 'bf16'"),
        ({"model": {"precision": "fp16"}}, "does not train in float16"),
        ({"model": {"preset": "ae", "beta": 1}}, "an autoencoder has no KL"),
        ({"model": {"preset": "article", "warmup_epochs": 1}}, "its own constant"),
        ({"model": {"preset": "iwae", "warmup_epochs": 1}}, "no KL term to weigh"),
        ({"model": {"preset": "iwae", "importance_samples": 0}}, "number >= 1, received 0"),
        ({"model": {"importance_samples": 5}}, "'vae' takes no importance_samples"),
    ],
)
def test_what_is_wrong_is_named(tables, message):
    with pytest.raises(UsageError, match=message):
        Configuration.from_toml(tables, "mine.toml")


@pytest.mark.parametrize("content", [b"= =", b"\xff\xfe", b"[model]\nbeta = 1\nbeta = 2"])
def test_a_file_that_is_no_toml(tmp_path, content):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="mine.toml is not a TOML file"):
        Configuration.read(path)
    with pytest.raises(UsageError, match="is not a TOML file"):
        Configuration.read(tmp_path)
    with pytest.raises(UsageError, match="There is no configuration file"):
        Configuration.read(tmp_path / "nowhere.toml")


def test_a_configuration_needs_no_backend():
    script = "import sys, kelbo.training.configuration; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert not {"keras", "tensorflow", "jax", "torch"} & set(loaded.stdout.split())
