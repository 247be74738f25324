"""What docs/kl-loss.md says of each snippet is what happens, in every environment it names."""

import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kelbo.beta import beta_from_mean_weights, format_beta
from tests.processes import run_jobs

COMMENT = r"^<!-- (.*) -->$"
BLOCK = r"^```python\n((?:.*\n)*?)```$"
PAGE = (Path(__file__).parents[2] / "docs" / "kl-loss.md").read_text(encoding="utf-8")
RULES = ["1", "2", "3", "4"]
KERAS_3 = ["keras3-tensorflow", "keras3-jax", "keras3-torch"]


@dataclass(frozen=True)
class Environment:
    """A Keras, the mode it runs in, and the lines a script for it begins with."""

    variables: tuple[tuple[str, str], ...]
    header: str
    mode: str = "eager"


KERAS_2_HERE = (("TF_USE_LEGACY_KERAS", "1"),)
ENVIRONMENTS = {
    "tf-keras": Environment(KERAS_2_HERE, "keras2"),
    "tf-keras-graph": Environment(KERAS_2_HERE, "keras2", "graph"),
    "keras2-script-on-keras3": Environment((("KERAS_BACKEND", "tensorflow"),), "keras2"),
    "keras3-tensorflow": Environment((("KERAS_BACKEND", "tensorflow"),), "keras3"),
    "keras3-jax": Environment((("KERAS_BACKEND", "jax"),), "keras3"),
    "keras3-torch": Environment((("KERAS_BACKEND", "torch"),), "keras3"),
    "keras3-graph": Environment((("KERAS_BACKEND", "tensorflow"),), "keras3", "graph"),
}


@dataclass(frozen=True)
class Claim:
    """What the page says becomes of a snippet in one environment."""

    environment: str
    raises: str = ""  # the exception's class; empty if the snippet trains
    message: str = ""  # how it begins; empty if there is none
    kl_factor: int = 1  # how often the KL term counts
    shows_loss: bool = True


@dataclass(frozen=True)
class Snippet:
    name: str
    code: str
    claims: tuple[Claim, ...]


def read_claims(comment: str) -> list[Claim]:
    """The claims of `run in: ENVIRONMENT, ...; trains` or `...; raises CLASS: MESSAGE`."""
    parsed = re.fullmatch(r"run in: ([\w, -]+); (trains|raises)(.*)", comment)
    assert parsed, f"not understood: {comment}"
    environments, verb, rest = parsed.groups()
    if verb == "raises":
        parsed = re.fullmatch(r" (\w+)(?:: (.+))?", rest)
        assert parsed, f"not understood: {comment}"
        said = {"raises": parsed[1], "message": parsed[2] or ""}
    else:
        parsed = re.fullmatch(r"(?:, KL x(\d+))?(, shows no loss)?", rest)
        assert parsed, f"not understood: {comment}"
        said = {"kl_factor": int(parsed[1] or 1), "shows_loss": not parsed[2]}
    return [Claim(environment, **said) for environment in environments.split(", ")]


def read_page() -> tuple[dict[str, str], list[Snippet]]:
    """The blocks that snippets start from, and the snippets."""
    common, snippets, comments = {}, [], []
    for comment, code in re.findall(rf"{COMMENT}|{BLOCK}", PAGE, re.MULTILINE):
        if comment:
            comments.append(comment)
            continue
        name, *claims = comments
        comments = []
        if not claims:
            common[name] = code
        else:
            claims = [claim for comment in claims for claim in read_claims(comment)]
            snippets.append(Snippet(name, code, tuple(claims)))
    assert not comments, "comments without a snippet"
    return common, snippets


COMMON, SNIPPETS = read_page()

# Behind rows of the second table: what no snippet of the page shows.
OUTSIDE_UNDER_A_TAPE = """
import tensorflow as tf

class VAE(keras.Model):
    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = mean(kl(mu, log_var))
        tape.gradient(loss, self.trainable_variables)

vae = VAE(image, output)
vae.compile("sgd")
vae.fit(x)
"""
ADD_METRIC = """
class Metric(keras.layers.Layer):
    def call(self, inputs):
        self.add_metric(mean(inputs), name="mean")
        return inputs

vae = keras.Model(image, Metric()(output))
vae.compile("sgd", loss="binary_crossentropy")
vae.fit(x, x)
"""
NO_LOSS = """
vae = keras.Model(image, output)
vae.compile("sgd")
vae.fit(x, x)
"""
NEIGHBOURS = [
    (
        "keras3-tensorflow",
        "AttributeError: 'KerasTensor' object has no attribute '_id'",
        OUTSIDE_UNDER_A_TAPE,
    ),
    *(
        (
            environment,
            "NotImplementedError: Layer `add_metric()` method is deprecated.",
            ADD_METRIC,
        )
        for environment in KERAS_3
    ),
    ("keras3-tensorflow", "ValueError: No loss to compute.", NO_LOSS),
    ("keras3-torch", "ValueError: No loss to compute.", NO_LOSS),
]
# Rows of releases that no Python of today runs; docs/recipes.md has them measured.
OF_OLD_RELEASES = {
    "_SymbolicException: Inputs to eager execution function cannot be Keras symbolic tensors",
    "TypeError: Cannot convert a symbolic Keras input/output to a numpy array.",
    "TypeError: Tensors are unhashable. (KerasTensor(",
}
SHOWS_ZERO = """
import tensorflow as tf

class VAE(keras.Model):
    def train_step(self, data):
        with tf.GradientTape() as tape:
            pixels, mu, log_var = self(data, training=True)
            loss = w * mean(kl(mu, log_var))
        trained = self.layers[1].trainable_weights + self.layers[2].trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained))
        return {"loss": loss}

vae = VAE(image, [output, mu, log_var])
vae.compile("sgd")
vae.fit(x)
"""
IGNORED = """
class VAE(keras.Model):
    def train_step(self, data):
        raise AssertionError

    def compute_loss(self, *arguments, **options):
        raise AssertionError

vae = VAE(image, output)
vae.compile("sgd", loss="binary_crossentropy")
vae.fit(x, x)
"""


def trials() -> list[tuple[str, str]]:
    """All there is to run: environments and snippets."""
    claimed = [
        (claim.environment, snippet.code) for snippet in SNIPPETS for claim in snippet.claims
    ]
    neighbours = [(environment, code) for environment, _, code in NEIGHBOURS]
    silent = [
        ("keras3-tensorflow", SHOWS_ZERO),
        ("keras3-jax", NO_LOSS),
        ("tf-keras-graph", IGNORED),
    ]
    return claimed + neighbours + silent


def setup(environment: str) -> str:
    """The page's lines that come before each snippet, seeded."""
    header = COMMON[f"header: {ENVIRONMENTS[environment].header}"]
    return header + "keras.utils.set_random_seed(0)\n" + COMMON["setup"]


@pytest.fixture(scope="module")
def results():
    """What became of each trial, by (environment, code): one process for each Keras and mode."""
    processes: dict[tuple, list[tuple[str, str]]] = {}
    for environment, code in trials():
        keras = ENVIRONMENTS[environment]
        processes.setdefault((keras.variables, keras.mode), []).append((environment, code))

    def run(process):
        variables, mode = process
        jobs = [{"setup": setup(name), "snippet": code} for name, code in processes[process]]
        backend = {"KERAS_BACKEND": "tensorflow", **dict(variables)}
        found = run_jobs("tests.docs.run_snippets", jobs, mode, **backend)
        return zip(processes[process], found, strict=True)

    with ThreadPoolExecutor(2) as pool:
        return {trial: result for done in pool.map(run, processes) for trial, result in done}


def assert_raised(result, raises, message):
    assert result.get("raised") == raises, result
    if not message:
        assert result["message"] == ""
        return
    # Keras wraps messages: "in user code: ... TypeError: You are passing ...".
    begins = re.compile(r"(^|: )\s*" + re.escape(message), re.MULTILINE)
    assert begins.search(result["message"]), result["message"]


def assert_trained(result, kl_factor=1, shows_loss=True):
    """The first step moved `mu` and `log_var` as the KL term says and showed the loss it should."""
    assert "raised" not in result, result
    assert result["kl_factor"] == pytest.approx(kl_factor, rel=1e-3)
    assert result["deviation"] < 1e-3
    assert np.isfinite(result["expected"]).all()
    assert result["shown"] == (pytest.approx(result["expected"], rel=1e-5) if shows_loss else [])


@pytest.mark.parametrize(
    ("snippet", "claim"),
    [
        pytest.param(snippet, claim, id=f"{snippet.name}-{claim.environment}")
        for snippet in SNIPPETS
        for claim in snippet.claims
    ],
)
def test_snippet_does_what_the_page_says(snippet, claim, results):
    result = results[claim.environment, snippet.code]
    if claim.raises:
        assert_raised(result, claim.raises, claim.message)
    else:
        assert_trained(result, claim.kl_factor, claim.shows_loss)


@pytest.mark.parametrize(
    ("environment", "message", "code"),
    [pytest.param(*row, id=f"{row[1].split(':')[0]}-{row[0]}") for row in NEIGHBOURS],
)
def test_neighbouring_messages_are_real(environment, message, code, results):
    assert_raised(results[environment, code], *message.split(": ", 1))


def test_a_train_step_may_train_right_and_show_zero_on_keras_3(results):
    result = results["keras3-tensorflow", SHOWS_ZERO]
    assert result["kl_factor"] == pytest.approx(1.0, rel=1e-3)
    assert result["shown"] == [0.0]


def test_no_loss_at_all_trains_nothing_on_jax(results):
    result = results["keras3-jax", NO_LOSS]
    assert result["kl_factor"] == 0.0
    assert result["shown"] == [0.0]


def test_graph_mode_ignores_a_step_of_ones_own(results):
    assert_trained(results["tf-keras-graph", IGNORED], kl_factor=0)


def test_each_rule_is_broken_once_and_repaired_once():
    pairs = [f"rule {rule}, {state}" for rule in RULES for state in ("broken", "repaired")]
    assert [snippet.name for snippet in SNIPPETS] == pairs
    assert re.findall(r"^### Rule (\d)\. ", PAGE, re.MULTILINE) == RULES
    assert list(COMMON) == ["header: keras2", "header: keras3", "setup"]


def test_no_comment_and_no_block_escapes():
    assert PAGE.count("<!--") == len(re.findall(COMMENT, PAGE, re.MULTILINE))
    assert PAGE.count("```python") == len(COMMON) + len(SNIPPETS)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.name)
def test_snippets_are_short_and_claims_complete(snippet):
    assert len(snippet.code.splitlines()) <= 20
    environments = [claim.environment for claim in snippet.claims]
    assert len(set(environments)) == len(environments)
    assert set(KERAS_3) | {"tf-keras", "tf-keras-graph", "keras2-script-on-keras3"} <= set(
        environments
    )
    sound = {c.environment for c in snippet.claims if not c.raises and c.kl_factor == 1}
    if snippet.name.endswith("repaired"):
        assert {"tf-keras", *KERAS_3} <= sound
    else:
        assert not sound & set(KERAS_3)


def rows(number: int) -> dict[str, list[str]]:
    """The cells behind each message of one of the two tables of messages."""
    tables = re.findall(r"^\| The message begins .*?\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [row.strip("| ").split(" | ") for row in tables[number].splitlines()]
    return {message.strip("`").split("`` and no message")[0]: rest for message, *rest in cells}


def said(claim: Claim) -> str:
    return f"{claim.raises}: {claim.message}" if claim.message else claim.raises


def test_the_table_has_each_message_beside_its_rules():
    rules: dict[str, set[str]] = {}
    for snippet in SNIPPETS:
        for claim in snippet.claims:
            if claim.raises:
                rules.setdefault(said(claim), set()).add(snippet.name[len("rule ")])
    table = {message: set(re.findall(r"\b[1-4]\b", rest[1])) for message, rest in rows(0).items()}
    cure = next(message for message in table if "tf.data.Dataset" in message)
    assert table.pop(cure) == set()
    assert rules.pop(cure) == {"1"}
    assert table == rules


def test_the_second_table_has_neighbours_and_old_releases():
    assert set(rows(1)) == {message for _, message, _ in NEIGHBOURS} | OF_OLD_RELEASES


def test_the_effective_beta_of_the_text():
    assert beta_from_mean_weights(0.5, 4, 2) == 1.0
    beta = beta_from_mean_weights(-2.0 * -0.5e-4, 784, 16)
    assert f"**beta is\n{format_beta(beta)}**" in PAGE
    assert f"counts {math.floor(1.0 / beta)} times less" in PAGE


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([\w-]+)\)", PAGE))
def test_links_within_the_page_lead_somewhere(anchor):
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    assert anchor in [re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings]
