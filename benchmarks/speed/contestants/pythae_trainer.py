"""pythae's VAE and its own trainer, with the article's network as its encoder and decoder.

In bfloat16 the networks bring their own autocast: pythae passes over its `amp=True` where the loss
is a binary cross-entropy, which PyTorch refuses inside of an autocast.
"""

import tempfile
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig

from benchmarks.speed.contestants import Gate
from benchmarks.speed.contestants.pytorch import Decoder, Encoder, flipped, set_weights
from benchmarks.speed.work import Work


def precision(work: Work, x: torch.Tensor) -> torch.autocast:
    """The context in which a network computes in the precision of the work."""
    return torch.autocast(x.device.type, torch.bfloat16, enabled=work.precision == "bfloat16")


class _Encoder(BaseEncoder):
    def __init__(self, work: Work):
        super().__init__()
        self.work = work
        self.network = Encoder(work)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        with precision(self.work, x):
            mu, log_var = self.network(x)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class _Decoder(BaseDecoder):
    def __init__(self, work: Work):
        super().__init__()
        self.work = work
        self.network = Decoder(work)

    def forward(self, z: torch.Tensor) -> ModelOutput:
        with precision(self.work, z):
            logits = self.network(z)
        # pythae's binary cross-entropy takes probabilities.
        return ModelOutput(reconstruction=torch.sigmoid(logits))


class Pythae:
    """`BaseTrainer.train_step`, which is pythae's name for an epoch."""

    def __init__(self, work: Work, weights: dict[str, Any], device: str):
        self.work = work
        self.device = "cuda" if device == "gpu" else "cpu"
        height, width, channels = work.shape
        configuration = VAEConfig(
            input_dim=(channels, height, width),
            latent_dim=work.latent_dim,
            reconstruction_loss="bce",
        )
        encoder, decoder = _Encoder(work), _Decoder(work)
        set_weights(encoder.network, decoder.network, weights, work)
        self.vae = VAE(configuration, encoder, decoder).to(self.device)

    def loss(self, x: np.ndarray, epsilon: np.ndarray) -> float:
        """The loss of the model's forward pass."""
        inputs = {"data": flipped(x).to(self.device)}
        noise = torch.from_numpy(epsilon[0]).to(self.device)
        with patch.object(torch, "randn_like", lambda tensor: noise), torch.no_grad():
            return float(self.vae(inputs).loss)

    def train(self, x: np.ndarray, gate: Gate) -> None:
        """Train."""
        data = BaseDataset(flipped(x), torch.zeros(len(x)))
        with tempfile.TemporaryDirectory() as folder:
            configuration = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=gate.epochs,
                per_device_train_batch_size=self.work.batch_size,
                learning_rate=1e-3,
                optimizer_cls="Adam",
                optimizer_params={"eps": 1e-7},
                no_cuda=self.device == "cpu",
            )
            trainer = BaseTrainer(self.vae, data, training_config=configuration)
            trainer.prepare_training()
            for epoch in range(gate.epochs):
                gate.begin()
                loss = trainer.train_step(epoch)
                gate.end(float(loss))
