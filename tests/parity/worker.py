"""One training step of every case on one backend, with the same weights, noise and batch.

Run as `python -m tests.parity.worker FILE.npz` with KERAS_BACKEND set.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import kelbo
from kelbo.networks import conv_decoder, conv_encoder
from tests.support import LATENT, Gradient, data, noise, randomise, tiny_vae, to_numpy

IMAGE = (5, 4, 1)

# (network, likelihood, objective) of each case.
CASES = [
    ("mlp", "bernoulli", "elbo"),
    ("mlp", "continuous-bernoulli", "elbo"),
    ("mlp", "gaussian", "elbo"),
    ("mlp", "gaussian-shared", "elbo"),
    ("mlp", "gaussian-per-pixel", "elbo"),
    ("mlp", "bernoulli", "beta"),
    ("mlp", "bernoulli", "article"),
    ("mlp", "bernoulli", "warm-up"),
    ("mlp", "gaussian-per-pixel", "iwae"),
    ("conv", "bernoulli", "elbo"),
]
OBJECTIVES = {
    "elbo": lambda: kelbo.ELBO(),
    "beta": lambda: kelbo.ELBO(2.5),
    "article": lambda: kelbo.ArticleObjective(0.01),
    "warm-up": lambda: kelbo.ELBO(kelbo.LinearWarmup(steps=4)),
    "iwae": lambda: kelbo.IWAE(3),
}


def batch(network):
    return data(4, IMAGE) if network == "conv" else data(4)


def model(network, likelihood, objective):
    if network == "mlp":
        return tiny_vae(likelihood, OBJECTIVES[objective]())
    return kelbo.VAE(
        kelbo.GaussianPosterior(conv_encoder(IMAGE, (2, 3), (1, 2)), LATENT, name="posterior"),
        kelbo.BernoulliLikelihood(conv_decoder(IMAGE, LATENT, None, (2, 3), (1, 2))),
        objective=OBJECTIVES[objective](),
    )


def named(vae):
    """The trainable weights by layer and name."""
    return {"/".join(w.path.split("/")[-2:]): to_numpy(w) for w in vae.trainable_weights}


def main(path):
    keras.random.normal = lambda shape, **kwargs: keras.ops.convert_to_tensor(
        noise(tuple(map(int, shape)))
    )
    results = {}
    for case in CASES:
        vae = model(*case)
        randomise(vae)
        key = "|".join(case)
        results |= {f"{key}|weight|{name}": value for name, value in named(vae).items()}
        vae.compile(Gradient())
        logs = vae.train_on_batch(batch(case[0]), return_dict=True)
        results[f"{key}|loss"] = np.float64(logs["loss"])
        results |= {f"{key}|gradient|{name}": value for name, value in named(vae).items()}
    # The last case is the convolutional one; its model goes beside the results.
    vae.save(Path(path).with_suffix(".keras"))
    results["reconstruction"] = vae.reconstruct(batch(case[0]))
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1])
