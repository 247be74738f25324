"""PyTorch written by hand, from a plain loop to the fastest that an expert would write.

The data lie on the device and an epoch gathers its batches there, without a DataLoader.

PyTorch pads a strided convolution on the other side than Keras does. Images and kernels are both
flipped upside down and left to right here, which makes the two the same: so the weights are
Keras's and the losses equal.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.speed.contestants import Gate
from benchmarks.speed.work import FILTERS, SLOPE, STRIDES, Work

WARM_UP = 3  # steps before a CUDA graph is captured


class Encoder(nn.Module):
    """The article's encoder: (n, channels, height, width) -> mu and log_var, (n, latent_dim)."""

    def __init__(self, work: Work):
        super().__init__()
        channels = (work.channels, *FILTERS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], 3, STRIDES[i], padding=1)
            for i in range(len(FILTERS))
        )
        features = work.small_side**2 * FILTERS[-1]
        self.mu = nn.Linear(features, work.latent_dim)
        self.log_var = nn.Linear(features, work.latent_dim)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for convolution in self.convolutions:
            x = functional.leaky_relu(convolution(x), SLOPE)
        x = x.flatten(1)
        return self.mu(x).float(), self.log_var(x).float()


class Decoder(nn.Module):
    """The article's decoder: (n, latent_dim) -> logits, (n, channels, height, width)."""

    def __init__(self, work: Work):
        super().__init__()
        channels = (work.channels, *FILTERS)
        self.shape = FILTERS[-1], work.small_side, work.small_side
        self.dense = nn.Linear(work.latent_dim, math.prod(self.shape))
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(
                channels[i + 1],
                channels[i],
                3,
                STRIDES[i],
                padding=1,
                output_padding=STRIDES[i] - 1,
            )
            for i in reversed(range(len(FILTERS)))
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.dense(z).unflatten(1, self.shape)
        for convolution in self.convolutions:
            x = functional.leaky_relu(convolution(x), SLOPE)
        return x.float()


class VAE(nn.Module):
    """The article's VAE with the ELBO, or with K importance samples."""

    def __init__(self, work: Work, weights: dict[str, Any]):
        super().__init__()
        self.work = work
        self.encoder, self.decoder = Encoder(work), Decoder(work)
        set_weights(self.encoder, self.decoder, weights, work)

    def forward(self, x: torch.Tensor, epsilon: torch.Tensor | None = None) -> torch.Tensor:
        """The mean loss in nats of (n, channels, height, width)."""
        samples = self.work.importance_samples
        mu, log_var = self.encoder(x)
        if epsilon is None:
            epsilon = torch.randn(samples, *mu.shape, device=x.device)
        z = mu + torch.exp(0.5 * log_var) * epsilon
        logits = self.decoder(z.flatten(0, 1))
        if samples == 1:
            cross_entropy = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            kl = 0.5 * torch.sum(log_var.exp() + mu**2 - 1.0 - log_var)
            return (cross_entropy + kl) / len(x)
        logits = logits.unflatten(0, (samples, len(x)))
        cross_entropy = functional.softplus(logits) - x * logits
        # log p(z) - log q(z|x); the constants of the two cancel.
        log_ratio = 0.5 * torch.sum(epsilon**2 + log_var - z**2, dim=-1)
        bound = torch.logsumexp(log_ratio - cross_entropy.flatten(2).sum(-1), dim=0)
        return (math.log(samples) - bound).mean()


def flipped(x: np.ndarray) -> torch.Tensor:
    """(n, height, width, channels) -> (n, channels, height, width), flipped on both sides."""
    return torch.from_numpy(np.ascontiguousarray(x[:, ::-1, ::-1].transpose(0, 3, 1, 2)))


def set_weights(encoder: Any, decoder: Any, weights: dict[str, Any], work: Work) -> None:
    """Give encoder and decoder the common weights, which Keras stores in another order."""
    shape = work.small_side, work.small_side, FILTERS[-1]

    def copy(layer: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))

    for name, (kernel, bias) in weights.items():
        if "conv" in name:
            owner = encoder if name.startswith("enc") else decoder
            number = int(name[-1])
            place = number - 1 if owner is encoder else len(FILTERS) - number
            copy(owner.convolutions[place], kernel[::-1, ::-1].transpose(3, 2, 0, 1), bias)
        elif name == "dec_dense":
            kernel = kernel.reshape(work.latent_dim, *shape)[:, ::-1, ::-1]
            bias = bias.reshape(shape)[::-1, ::-1].transpose(2, 0, 1).ravel()
            copy(decoder.dense, kernel.transpose(3, 1, 2, 0).reshape(bias.size, -1), bias)
        else:
            kernel = kernel.reshape(*shape, work.latent_dim)[::-1, ::-1]
            kernel = kernel.transpose(3, 2, 0, 1).reshape(work.latent_dim, -1)
            copy(getattr(encoder, name), kernel, bias)


class Eager:
    """The loop of every tutorial."""

    fused = False
    memory_format = torch.contiguous_format

    def __init__(self, work: Work, weights: dict[str, Any], device: str):
        torch.set_float32_matmul_precision("high")  # TF32, if the device has it
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(0)
        self.work = work
        self.device = "cuda" if device == "gpu" else "cpu"
        self.vae = VAE(work, weights).to(self.device, memory_format=self.memory_format)
        self.optimizer = torch.optim.Adam(
            self.vae.parameters(), lr=1e-3, eps=1e-7, fused=self.fused, capturable=self.capturable
        )

    @property
    def capturable(self) -> bool:
        """Whether the optimiser's step can be part of a CUDA graph."""
        return False

    def loss(self, x: np.ndarray, epsilon: np.ndarray) -> float:
        """The loss that `train` minimises."""
        with torch.no_grad():
            batch = flipped(x).to(self.device), torch.from_numpy(epsilon).to(self.device)
            return float(self.mean_loss(*batch))

    def mean_loss(self, x: torch.Tensor, epsilon: torch.Tensor | None = None) -> torch.Tensor:
        """The loss of a batch, in the precision of the work."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.work.precision == "bfloat16"):
            return self.vae(x, epsilon)

    def train(self, x: np.ndarray, gate: Gate) -> None:
        """Train."""
        data = flipped(x).to(self.device, memory_format=self.memory_format)
        step = None
        for _ in range(gate.epochs):
            gate.begin()
            # Compiling is a part of the first epoch, when no other contestant is at work.
            step = step or self.make_step(data)
            order = torch.randperm(len(data), device=self.device)
            total = torch.zeros((), device=self.device)
            for places in order.split(self.work.batch_size):
                total += step(data[places]) * len(places)
            gate.end(float(total) / len(data))

    def make_step(self, data: torch.Tensor) -> Any:
        """A function from a batch of the data to its loss, that takes a step."""
        return lambda x: self.take_step(self.mean_loss, x)

    def take_step(self, mean_loss: Any, x: torch.Tensor) -> torch.Tensor:
        """Forward, backward and Adam."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = mean_loss(x)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class Compiled(Eager):
    """The same with torch.compile, channels last and a fused Adam."""

    fused = True
    memory_format = torch.channels_last

    def make_step(self, data: torch.Tensor) -> Any:
        """Compile the loss and its gradient."""
        mean_loss = torch.compile(self.mean_loss)
        return lambda x: self.take_step(mean_loss, x)


class Graphed(Compiled):
    """The whole compiled step as a CUDA graph: the host only launches it once per batch.

    There is a graph for whole batches and one for a smaller last one.
    """

    @property
    def capturable(self) -> bool:
        """Yes: the whole step is captured."""
        return True

    def make_step(self, data: torch.Tensor) -> Any:
        """Replay the graph of the batch's size."""
        mean_loss = torch.compile(self.mean_loss, mode="max-autotune-no-cudagraphs", dynamic=False)
        initial = [tensor.clone() for tensor in self.vae.state_dict().values()]
        size = min(self.work.batch_size, len(data))
        sizes = {size, len(data) % size} - {0}
        graphs = {size: self.capture(mean_loss, data[:size]) for size in sorted(sizes)}
        # The warm-up trained; begin again from the common weights.
        with torch.no_grad():
            for tensor, value in zip(self.vae.state_dict().values(), initial, strict=True):
                tensor.copy_(value)
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()

        def step(x: torch.Tensor) -> torch.Tensor:
            graph, batch, loss = graphs[len(x)]
            batch.copy_(x)
            graph.replay()
            return loss

        return step

    def capture(
        self, mean_loss: Any, example: torch.Tensor
    ) -> tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]:
        """The graph of a step, the batch that it reads, and the loss that it writes."""
        batch = torch.empty_like(example).copy_(example)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.take_step(mean_loss, batch)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            loss = self.take_step(mean_loss, batch)
        return graph, batch, loss
