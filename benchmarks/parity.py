"""The loss and its gradient, kelbo's beside pythae's: the same networks, weights, data and noise.

    KERAS_BACKEND=torch python -m benchmarks.parity

Both libraries get the same Keras networks, on PyTorch, so the weights are one. Each model's loss
and its gradient with respect to every weight are compared. A row either must be the same to
rounding, or says in one sentence who is right and why, and must then really differ: otherwise
nothing is stored. The result is benchmarks/results/parity.json, from which docs/parity.md is made.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

import kelbo
from kelbo import files
from kelbo.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "parity.json"
PAGE = Path(__file__).parent.parent / "docs" / "parity.md"

# All different, so that noise can be laid out by the sizes of its axes.
BATCH, FEATURES, LATENT, K, M = 6, 12, 4, 5, 3
HIDDEN = 8
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Row:
    """One model that both libraries have.

    Attributes:
        theirs: the class in pythae.
        ours: kelbo's model.
        options: of pythae's configuration.
        constant: what kelbo's loss has more than pythae's, by a definition that the page states:
            the normalising constant of a Gaussian.
        why: where the two differ, who is right and why; empty where they are the same.
        same: makes pythae's model, with kelbo's and what it passed through, draw and hold the same.
    """

    theirs: str
    ours: Callable[[], kelbo.LatentVariableModel]
    options: dict[str, Any] = field(default_factory=dict)
    constant: float = 0.0
    why: str = ""
    same: Callable[[Any, Any, dict[str, Any]], None] = lambda theirs, ours, passed: None


def encoder() -> keras.Model:
    return kelbo.networks.mlp_encoder((FEATURES,), (HIDDEN,))


def vae(objective: kelbo.Objective, **parts: Any) -> kelbo.VAE:
    """A VAE with a Bernoulli likelihood."""
    decoder = kelbo.networks.mlp_decoder((FEATURES,), LATENT, None, (HIDDEN,))
    return kelbo.VAE(
        kelbo.GaussianPosterior(encoder(), LATENT),
        kelbo.BernoulliLikelihood(decoder),
        objective=objective,
        **parts,
    )


def gaussian_vae(objective: kelbo.Objective, **parts: Any) -> kelbo.VAE:
    """A VAE whose likelihood has the variance 1, pythae's "mse"."""
    decoder = kelbo.networks.mlp_decoder((FEATURES,), LATENT, None, (HIDDEN,))
    return kelbo.VAE(
        kelbo.GaussianPosterior(encoder(), LATENT),
        kelbo.GaussianLikelihood(decoder),
        objective=objective,
        **parts,
    )


def autoencoder(
    objective: kelbo.Objective | None = None, prior: kelbo.Prior | None = None
) -> kelbo.LatentVariableModel:
    """A deterministic encoder; a Gaussian of variance 1/2 has the squared error as its loss."""
    decoder = kelbo.networks.mlp_decoder((FEATURES,), LATENT, None, (HIDDEN,))
    q = kelbo.DeterministicPosterior(encoder(), LATENT)
    p = kelbo.GaussianLikelihood(decoder, 0.5)
    if prior is None:
        return kelbo.AE(q, p, objective=objective)
    return kelbo.VAE(q, p, prior=prior, objective=objective)


def hyperspherical() -> kelbo.VAE:
    """A von Mises-Fisher posterior with the uniform prior on the sphere."""
    decoder = kelbo.networks.mlp_decoder((FEATURES,), LATENT, None, (HIDDEN,))
    return kelbo.VAE(
        kelbo.VonMisesFisherPosterior(encoder(), LATENT),
        kelbo.BernoulliLikelihood(decoder),
        prior=kelbo.UniformSpherePrior(),
    )


def _same_pseudo_inputs(theirs: Any, ours: Any, passed: dict[str, Any]) -> None:
    """Pythae's pseudo-inputs, which it makes with a layer, are kelbo's."""
    import torch

    class PseudoInputs(torch.nn.Module):
        def forward(self, idle: Any) -> Any:
            return ours.prior.u.value

    theirs.pseudo_inputs = PseudoInputs()


def _same_draws(theirs: Any, ours: Any, passed: dict[str, Any]) -> None:
    """Pythae's draws, which it makes by rejection, are kelbo's."""
    theirs._sample_von_mises = lambda loc, concentration: passed["z"]


def gaussian_constant(variance: float) -> float:
    """The constant of -log N(x; mu, variance), in nats for a datum."""
    return 0.5 * FEATURES * float(np.log(2.0 * np.pi * variance))


BCE, MSE = {"reconstruction_loss": "bce"}, {"reconstruction_loss": "mse"}
_SEVERAL = {"number_gradient_estimates": M, "number_samples": K}
_TC = {"alpha": 1.5, "beta": 6.0, "gamma": 0.5}
_WRONG_AXIS = (
    "pythae normalises the weights over the M bounds in place of the K draws of each, so it has K "
    "bounds of M draws"
)
_SURROGATE = (
    "both: pythae's number is sum_k w_k log w_k, whose gradient is the bound's; kelbo's number is "
    "the bound itself, in nats"
)

ROWS: dict[str, Row] = {
    "AE": Row("AE", autoencoder, constant=gaussian_constant(0.5)),
    "VAE, Bernoulli": Row("VAE", lambda: vae(kelbo.ELBO()), BCE),
    "VAE, Gaussian": Row(
        "VAE", lambda: gaussian_vae(kelbo.ELBO()), MSE, constant=gaussian_constant(1.0)
    ),
    "beta-VAE": Row("BetaVAE", lambda: vae(kelbo.ELBO(4.0)), {**BCE, "beta": 4.0}),
    "IWAE": Row("IWAE", lambda: vae(kelbo.IWAE(K)), {**BCE, "number_samples": K}, why=_SURROGATE),
    "MIWAE": Row(
        "MIWAE",
        lambda: vae(kelbo.MIWAE(M, K)),
        {**BCE, **_SEVERAL},
        why=f"kelbo: {_WRONG_AXIS}",
    ),
    "PIWAE": Row(
        "PIWAE",
        lambda: vae(kelbo.PIWAE(M, K)),
        {**BCE, **_SEVERAL},
        why=f"kelbo: {_WRONG_AXIS}; and the sum of both losses that it reports is no loss of "
        "either player",
    ),
    "CIWAE": Row(
        "CIWAE",
        lambda: vae(kelbo.CIWAE(K, share=0.3)),
        {**BCE, "number_samples": K, "beta": 0.3},
        why=_SURROGATE,
    ),
    "beta-TC, weighted": Row(
        "BetaTCVAE",
        lambda: vae(kelbo.BetaTC(6.0, 1.5, 0.5, "weighted", BATCH)),
        {**BCE, **_TC, "use_mss": False},
    ),
    "beta-TC, stratified": Row(
        "BetaTCVAE",
        lambda: vae(kelbo.BetaTC(6.0, 1.5, 0.5, "stratified", BATCH)),
        {**BCE, **_TC, "use_mss": True},
        why="both: pythae has the weights of Chen et al.'s program, in which the place of a datum "
        "in its batch says which other stands for the rest; kelbo has their mean over all orders, "
        "of the same expectation",
    ),
    "capacity": Row(
        "DisentangledBetaVAE",
        lambda: vae(kelbo.Capacity(20.0 * 0.5, 10.0)),
        {**BCE, "beta": 10.0, "C": 20.0, "warmup_epoch": 1},  # outside a training half way
    ),
    "InfoVAE": Row(
        "INFOVAE_MMD",
        lambda: vae(kelbo.InfoVAE(0.2, 10.0)),
        {**BCE, "alpha": 0.2, "lbd": 10.0, "kernel_choice": "rbf"},
    ),
    "WAE": Row(
        "WAE_MMD",
        lambda: autoencoder(kelbo.WAE(2.0), kelbo.StandardNormalPrior()),
        {"reg_weight": 2.0},
        constant=gaussian_constant(0.5),
    ),
    "RAE, L2": Row(
        "RAE_L2",
        lambda: autoencoder(kelbo.RAE("l2", code_weight=0.3, weight=0.0)),
        {"embedding_weight": 0.3},  # its L2 is the optimiser's weight decay
        constant=gaussian_constant(0.5),
    ),
    "RAE, gradient penalty": Row(
        "RAE_GP",
        lambda: autoencoder(kelbo.RAE("gradient-penalty", code_weight=0.3, weight=0.1)),
        {"embedding_weight": 0.3, "reg_weight": 0.1},
        constant=gaussian_constant(0.5),
        why="kelbo: the paper penalises the decoder's Jacobian in z (equation 11); pythae takes "
        "the gradient of the sum of all outputs in x, through the encoder",
    ),
    "VampPrior": Row(
        "VAMP",
        lambda: vae(kelbo.ELBO(), prior=kelbo.VampPrior(7)),
        {**BCE, "number_components": 7},
        same=_same_pseudo_inputs,
    ),
    "hyperspherical": Row("SVAE", hyperspherical, BCE, same=_same_draws),
}

NOT_COMPARED = {
    "VAE_LinNF": (
        "kelbo: each datum has flows of its own, as in Rezende and Mohamed 2015; pythae's are the "
        "same for all data"
    ),
    "VAE_IAF": (
        "kelbo: the encoder gives each datum's flow a context, as in Kingma et al. 2016; pythae's "
        "has none, and normalises its batches"
    ),
    "MSSSIM_VAE": (
        "kelbo: its SSIM is tf.image's, of windows that lie within the image, and a number of each "
        "image; pythae pads with zeros and has one number of the batch"
    ),
}


def pythae_model(row: Row, ours: kelbo.LatentVariableModel) -> Any:
    """Pythae's model around kelbo's networks."""
    import pythae.models as models
    import torch
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def forward(self, x: Any) -> Any:
            parameters = ours.posterior(x, training=True)
            if "z" in parameters:
                return ModelOutput(embedding=parameters["z"])
            if "kappa" in parameters:  # which pythae makes as softplus + 1
                raw = torch.log(torch.expm1(parameters["kappa"] - 1.0))
                return ModelOutput(embedding=parameters["mu"], log_concentration=raw)
            return ModelOutput(embedding=parameters["mu"], log_covariance=parameters["log_var"])

    class Decoder(BaseDecoder):
        def forward(self, z: Any) -> Any:
            parameters = ours.likelihood(z, training=True)
            if "logits" in parameters:
                return ModelOutput(reconstruction=torch.sigmoid(parameters["logits"]))
            return ModelOutput(reconstruction=parameters["mu"])

    separate = "_" if row.theirs.split("_")[-1] in ("MMD", "L2", "GP") else ""
    config = getattr(models, f"{row.theirs}{separate}Config")
    configuration = config(input_dim=(FEATURES,), latent_dim=LATENT, **row.options)
    return getattr(models, row.theirs)(configuration, Encoder(), Decoder()).train()


@contextmanager
def same_noise() -> Iterator[None]:
    """Both libraries draw the same normal noise, however they lay its axes out."""
    import torch

    axes = {M: 0, K: 1, BATCH: 2, LATENT: 3}
    draws = np.random.default_rng(1).standard_normal((2, M, K, BATCH, LATENT)).astype("float32")
    count: dict[tuple[int, ...], int] = {}

    def noise(shape: Any) -> Any:
        shape = tuple(map(int, shape))
        number = count[shape] = count.get(shape, -1) + 1
        array = draws[number]
        wanted = [axes[size] for size in shape]
        for axis in range(array.ndim):
            if axis not in wanted:
                array = array.take([0], axis)
        order = [*sorted(set(range(4)) - set(wanted)), *wanted]
        return torch.tensor(array.transpose(order).reshape(shape).copy())

    def keras_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, **kwargs: Any) -> Any:
        return mean + stddev * noise(shape)

    def torch_like(tensor: Any, **kwargs: Any) -> Any:
        return noise(tensor.shape)

    with patch.object(keras.random, "normal", keras_normal), patch("torch.randn_like", torch_like):
        yield


def compare(row: Row) -> dict[str, float]:
    """Loss and gradient of both, and how far apart they are."""
    import torch

    keras.utils.set_random_seed(0)
    ours = row.ours()
    ours.compile("sgd")
    x = torch.tensor(np.random.default_rng(0).random((BATCH, FEATURES), "float32"))
    with same_noise():
        passed = ours(x, training=True)
        mine = ours.compute_loss(x, x, passed, None, training=True)
    weights = [variable.value for variable in ours.trainable_variables]
    theirs_model = pythae_model(row, ours)
    row.same(theirs_model, ours, passed)
    with same_noise():
        theirs = theirs_model({"data": x}).loss
    gradients = [
        torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
        for loss in (mine, theirs)
    ]
    apart, size = 0.0, 0.0
    for one, other in zip(*gradients, strict=True):
        one = torch.zeros(1) if one is None else one
        other = torch.zeros(1) if other is None else other
        apart = max(apart, float((one - other).abs().max()))
        size = max(size, float(one.abs().max()))
    return {
        "ours": float(mine.detach()) - row.constant,
        "theirs": float(theirs.detach()),
        "gradient_apart": apart / size,
    }


def check(name: str, row: Row, found: dict[str, float]) -> None:
    """Refuse a row that does not hold what it says."""
    loss_apart = abs(found["ours"] - found["theirs"]) / abs(found["theirs"])
    same = max(loss_apart, found["gradient_apart"]) <= TOLERANCE
    if same == bool(row.why):
        said = "differ" if row.why else "are the same"
        raise SystemExit(
            f"{name}: the two are said to {said}, but the losses are {found['ours']:.6f} and "
            f"{found['theirs']:.6f}, and the gradients {found['gradient_apart']:.1e} apart. "
            "Nothing is stored."
        )


def page(results: dict[str, Any]) -> str:
    """The page docs/parity.md."""
    on = results["environment"]
    lines = [
        "# Parity with pythae",
        "",
        "Every model that kelbo and [pythae](https://github.com/clementchadebec/benchmark_VAE)",
        "both have, with the same networks, weights, data and noise: the loss of one batch, in",
        "nats for a datum, and the largest difference of any weight's gradient, as a share of the",
        "largest gradient. kelbo's loss is shown without the normalising constant of a Gaussian,",
        "which pythae leaves out: 1/2 log(2 pi variance) for each value. Where the two differ, the",
        "last column says who is right and why.",
        "",
        "| model | pythae's class | loss, kelbo | loss, pythae | gradients apart | |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in results["rows"].items():
        row = ROWS[name]
        lines.append(
            f"| {name} | `{row.theirs}` | {found['ours']:.5f} | {found['theirs']:.5f} "
            f"| {found['gradient_apart']:.0e} | {row.why or 'the same'} |"
        )
    lines += ["", "Not compared, for the networks are not the same:", ""]
    lines += [f"- `{theirs}`: {why}." for theirs, why in NOT_COMPARED.items()]
    lines += [
        "",
        f"Made by `python -m benchmarks.parity` on {on['date'][:10]} with pythae "
        f"{results['pythae']}, Keras {on['keras']} and PyTorch {on['backend_version']}, from",
        "benchmarks/results/parity.json.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", action="store_true", help="only make the page again")
    if not parser.parse_args().page:
        from importlib.metadata import version

        rows = {}
        for name, row in ROWS.items():
            rows[name] = compare(row)
            print(f"{name:20} {rows[name]}")
            check(name, row, rows[name])
        results = {"rows": rows, "pythae": version("pythae"), "environment": describe_environment()}
        files.write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    files.write_text(PAGE, page(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
