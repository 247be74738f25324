"""log p(x) by annealed importance sampling, and the check that it is right on simulated data.

    f_t(z) = p(z) p(x|z)^beta_t    from beta_0 = 0, the prior, to beta_T = 1, p(x, z)

Chains go from the prior to the posterior; their weights, prod_t f_t(z_t) / f_(t-1)(z_t), estimate
p(x) without bias (Neal 2001; for VAEs Wu, Burda, Salakhutdinov and Grosse, "On the quantitative
analysis of decoder-based generative models", 2017). They need no q(z|x), however poor that is.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.annealing import Annealing
from kelbo.backends.tensorflow.replicas import one_pass
from kelbo.bounds import samples_in_one_pass
from kelbo.errors import DivergedError, UsageError
from kelbo.inputs import as_numpy, joined, split
from kelbo.kinds import check_sizes
from kelbo.passes import rows_in_one_pass
from kelbo.vae import VAE

# Chains of each datum that find its step sizes, and take no part in the estimate.
_PILOTS = 4
_FIRST_STEP = 0.2
# So many temperatures go to one compiled call, which nothing can interrupt.
_TURNS = 10

Progress = Callable[[float], None]


def schedule(temperatures: int) -> np.ndarray:
    """beta_0 = 0 to beta_T = 1 on a sigmoid: slow at both ends, where f_t changes fast.

    Wu et al. 2017, section 4.1.

    Returns:
        (temperatures + 1,), float64.
    """
    sigmoid = 1.0 / (1.0 + np.exp(-4.0 * np.linspace(-1.0, 1.0, temperatures + 1)))
    return (sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])


@dataclass(frozen=True)
class Annealed:
    """Chains of annealed importance sampling.

    Attributes:
        log_weights: of each chain, in nats, float64 (chains, n).
        acceptance: the share of accepted proposals, (n,).
        reverse: whether the chains went from an exact draw of p(z|x) back to the prior: the
            expectation of exp(-log weight) is then 1 / p(x), else that of exp(log weight) is p(x).
    """

    log_weights: np.ndarray
    acceptance: np.ndarray
    reverse: bool = False

    @property
    def _signed(self) -> np.ndarray:
        return -self.log_weights if self.reverse else self.log_weights

    @cached_property
    def log_likelihood(self) -> np.ndarray:
        """log p(x) in nats, (n,): in expectation a lower bound, of reverse chains an upper one."""
        largest = self._signed.max(axis=0)
        log_mean = largest + np.log(np.exp(self._signed - largest).mean(axis=0))
        return -log_mean if self.reverse else log_mean

    @cached_property
    def standard_error(self) -> np.ndarray:
        """Of `log_likelihood`, in nats, from the spread of the chains (delta method): (n,).

        Infinite of one chain, which knows no spread. Few chains with unequal weights make it too
        small.
        """
        chains = len(self.log_weights)
        if chains == 1:
            return np.full(self.log_weights.shape[1], math.inf)
        weights = np.exp(self._signed - self._signed.max(axis=0))
        return weights.std(axis=0, ddof=1) / weights.mean(axis=0) / math.sqrt(chains)


@dataclass(frozen=True)
class Sandwich:
    """log p(x) of data that were simulated from the model, from below and from above.

    Attributes:
        x: the data, (n, *data_shape), or {"x": x, "c": c} with conditions c.
        forward: the chains from the prior.
        reverse: the chains from the z that x was simulated from.
    """

    x: Any
    forward: Annealed
    reverse: Annealed

    @property
    def lower(self) -> float:
        """The mean of the lower bounds on log p(x), in nats."""
        return float(self.forward.log_likelihood.mean())

    @property
    def upper(self) -> float:
        """The mean of the upper bounds on log p(x), in nats."""
        return float(self.reverse.log_likelihood.mean())

    @property
    def gap(self) -> float:
        """upper - lower, in nats: how far off either can be, in expectation."""
        return self.upper - self.lower

    @property
    def standard_error(self) -> float:
        """Of `gap`, in nats, from its spread over the data; infinite of one datum."""
        gaps = self.reverse.log_likelihood - self.forward.log_likelihood
        return float(gaps.std(ddof=1) / math.sqrt(len(gaps))) if len(gaps) > 1 else math.inf


def annealed_log_likelihood(
    vae: VAE,
    x: Any,
    chains: int = 16,
    temperatures: int = 1000,
    leapfrog_steps: int = 10,
    *,
    batch_size: int = 100,
    seed: int = 0,
    rows_per_pass: int | None = None,
    on_progress: Progress = lambda share: None,
) -> Annealed:
    """Estimate log p(x) of each datum by annealed importance sampling.

    Step sizes are found first, for each datum and temperature, by chains that are then thrown away:
    a chain that learnt from its own past would have a biased weight.

    Args:
        vae: a VAE whose z may be any real numbers.
        x: (n, *data_shape), or {"x": x, "c": c} with conditions c.
        chains: independent ones for each datum.
        temperatures: T; the more, the tighter the bound.
        leapfrog_steps: gradients of log p(x, z) at each temperature.
        batch_size: data at a time.
        seed: of the draws, which are a function of it and of the sizes.
        rows_per_pass: how many latent vectors are decoded at once, which bounds the memory,
            whatever the number of chains; None: as many as suit the device.
        on_progress: called with the share of the work that is done.

    Raises:
        DataError: x does not fit the model.
        UsageError: the model is no VAE, its z may not be any real numbers, or a number is < 1.
        DivergedError: an estimate is NaN or infinite.
    """
    run = _Run(vae, chains, temperatures, leapfrog_steps, batch_size, seed, rows_per_pass)
    x = keras.tree.map_structure(as_numpy, x)
    vae.check_data(x)
    count, parts = len(split(x)[0]), []
    run.report(count, 1, on_progress)
    for start in range(0, count, run.batch_size):
        batch = keras.tree.map_structure(lambda a, at=start: a[at : at + run.batch_size], x)
        parts.append(run.forward(batch, run.step_sizes(batch)))
    return _joined(parts)


def bidirectional_monte_carlo(
    vae: VAE,
    n: int,
    chains: int = 16,
    temperatures: int = 1000,
    leapfrog_steps: int = 10,
    *,
    batch_size: int = 100,
    seed: int = 0,
    rows_per_pass: int | None = None,
    context: Mapping[str, Any] | None = None,
    on_progress: Progress = lambda share: None,
) -> Sandwich:
    """Check annealed importance sampling on data that are simulated from the model.

    Of x ~ p(x|z), z ~ p(z), the z is an exact draw of p(z|x). Chains from it back to the prior give
    an upper bound on log p(x) in expectation, those from the prior a lower one (Grosse, Ghahramani
    and Adams, "Sandwiching the marginal likelihood using bidirectional Monte Carlo", 2015). Where
    the two agree both are right, of such data and with these numbers.

    Args:
        vae: as in `annealed_log_likelihood`.
        n: how many data to simulate.
        chains: independent ones for each datum and direction.
        temperatures: as there, as are all that follow.
        leapfrog_steps: as there.
        batch_size: as there.
        seed: as there, of the data too.
        rows_per_pass: as there.
        context: the conditions of a conditional model by name, (n, *shape) each.
        on_progress: as there.

    Raises:
        UsageError: as in `annealed_log_likelihood`.
        DataError: conditions are missing, or of another shape.
        DivergedError: an estimate is NaN or infinite.
    """
    check_sizes(n=n)
    run = _Run(vae, chains, temperatures, leapfrog_steps, batch_size, seed, rows_per_pass)
    conditions = vae.check_context(n, {} if context is None else context)
    data, forward, reverse = [], [], []
    run.report(n, 2, on_progress)
    for start in range(0, n, run.batch_size):
        stop = min(start + run.batch_size, n)
        own = {name: values[start:stop] for name, values in conditions.items()}
        batch, z = run.simulated(stop - start, own)
        step_sizes = run.step_sizes(batch)
        forward.append(run.forward(batch, step_sizes))
        reverse.append(run.reverse(batch, step_sizes, z))
        data.append(batch)
    x = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *data)
    return Sandwich(x, _joined(forward), _joined(reverse))


class _Run:
    """The chains of one model with one set of numbers, batch by batch."""

    def __init__(
        self,
        vae: VAE,
        chains: int,
        temperatures: int,
        leapfrog_steps: int,
        batch_size: int,
        seed: int,
        rows_per_pass: int | None,
    ):
        if not isinstance(vae, VAE):
            raise UsageError(
                f"Annealing goes from the prior of a kelbo.VAE, received a {type(vae).__name__}."
            )
        rows = rows_in_one_pass(vae.data_dim) if rows_per_pass is None else rows_per_pass
        check_sizes(
            chains=chains,
            temperatures=temperatures,
            leapfrog_steps=leapfrog_steps,
            batch_size=batch_size,
            rows_per_pass=rows,
        )
        self.vae = vae
        self.chains = chains
        self.leapfrog_steps = leapfrog_steps
        self.batch_size = min(batch_size, rows)
        self.chunk = samples_in_one_pass(chains, self.batch_size, rows)
        self.pilots = min(_PILOTS, max(1, rows // self.batch_size))
        self.beta = schedule(temperatures)
        self.draws = np.random.default_rng(seed)
        self._done = 0

    def report(self, count: int, directions: int, on_progress: Progress) -> None:
        """Report after every call how much of the work on `count` data is done."""
        calls = math.ceil((len(self.beta) - 1) / _TURNS) * (1 + directions * len(self._chunks))
        self._calls = math.ceil(count / self.batch_size) * calls
        self._on_progress = on_progress

    def _seed(self) -> keras.random.SeedGenerator:
        return keras.random.SeedGenerator(int(self.draws.integers(2**31 - 1)))

    def simulated(self, count: int, context: dict[str, np.ndarray]) -> tuple[Any, np.ndarray]:
        """x ~ p(x|z), with its conditions, and the z ~ p(z) that it comes from."""
        z = self.vae.sample_prior((), count, self._seed(), context)
        px_z = self.vae.px_z(z, context)
        x = ops.convert_to_numpy(px_z.sample(self._seed()))
        return joined(x, context), ops.convert_to_numpy(z)

    def step_sizes(self, batch: Any) -> np.ndarray:
        """A step size for each move of the chains from the prior: (temperatures, batch)."""
        shape = (len(self.beta) - 1, len(split(batch)[0]))
        first = np.full(shape, _FIRST_STEP, "float32")
        z = self._from_prior(batch, self.pilots)
        found = self._anneal(batch, z, np.diff(self.beta), self.beta[1:], first, adapts=True)
        return found["step_sizes"]

    def forward(self, batch: Any, step_sizes: np.ndarray) -> Annealed:
        """Chains from the prior."""
        starts = (self._from_prior(batch, self.chunk) for _ in self._chunks)
        return self._annealed(batch, starts, np.diff(self.beta), self.beta[1:], step_sizes)

    def reverse(self, batch: Any, step_sizes: np.ndarray, z: np.ndarray) -> Annealed:
        """Chains from draws z of p(z|x), by the same weights and moves in the reverse order."""
        starts = (np.repeat(z[None], self.chunk, axis=0) for _ in self._chunks)
        # The last move, at beta_0, comes after the last weight: any step size will do.
        sizes = np.concatenate([step_sizes[:-1][::-1], step_sizes[:1]])
        increments, powers = np.diff(self.beta)[::-1], self.beta[:-1][::-1]
        return self._annealed(batch, starts, increments, powers, sizes, reverse=True)

    @property
    def _chunks(self) -> range:
        return range(0, self.chains, self.chunk)

    def _from_prior(self, batch: Any, chains: int) -> np.ndarray:
        x, context = split(batch)
        z = ops.convert_to_numpy(self.vae.sample_prior((chains,), len(x), self._seed(), context))
        _check_free(z)
        return z

    def _annealed(
        self,
        batch: Any,
        starts: Iterable[np.ndarray],
        increments: np.ndarray,
        powers: np.ndarray,
        step_sizes: np.ndarray,
        reverse: bool = False,
    ) -> Annealed:
        parts = [self._anneal(batch, z, increments, powers, step_sizes) for z in starts]
        log_weights = np.concatenate([part["log_weights"] for part in parts])[: self.chains]
        if not np.isfinite(log_weights).all():
            raise DivergedError(
                "A weight of annealed importance sampling became NaN or infinite: the decoder "
                "gives no finite log p(x|z) at some z that the prior draws."
            )
        acceptance = np.mean([part["acceptance"] for part in parts], axis=0)
        return Annealed(log_weights, acceptance, reverse)

    def _anneal(
        self,
        batch: Any,
        z: np.ndarray,
        increments: np.ndarray,
        powers: np.ndarray,
        step_sizes: np.ndarray,
        adapts: bool = False,
    ) -> dict[str, np.ndarray]:
        """The chains after all turns, some of them in each compiled call."""
        program = one_pass(_compiled(self.vae, self.leapfrog_steps, adapts))
        dtype = self.vae.seed_generator.state.dtype
        weights, sizes, acceptance = np.zeros(z.shape[:2]), [], []
        for start in range(0, len(powers), _TURNS):
            # Calls of one shape: the last has turns that weigh nothing, and whose moves matter not.
            these = np.minimum(np.arange(start, start + _TURNS), len(powers) - 1)
            weighs = np.arange(start, start + _TURNS) < len(powers)
            outputs = program.predict_on_batch(
                {
                    "data": batch,
                    "z": z,
                    "keys": self.draws.integers(2**31 - 1, size=(_TURNS, 2)).astype(dtype),
                    "increments": (increments[these] * weighs).astype("float32"),
                    "powers": powers[these].astype("float32"),
                    "step_sizes": step_sizes[these],
                }
            )
            self._done += 1
            self._on_progress(self._done / self._calls)
            z = outputs["z"]
            weights += outputs["log_weights"]
            sizes.append(outputs["step_sizes"])
            acceptance.append(outputs["acceptance"])
            if adapts:
                step_sizes = np.broadcast_to(outputs["next_size"], step_sizes.shape)
        return {
            "log_weights": weights,
            "acceptance": np.mean(acceptance, axis=0),
            "step_sizes": np.concatenate(sizes)[: len(powers)],
        }


def _check_free(z: np.ndarray) -> None:
    """Refuse a z that lies on a sphere, which the straight steps of the chains would leave.

    Raises:
        UsageError: all z are equally long.
    """
    lengths = np.sqrt(np.square(z).sum(axis=tuple(range(2, z.ndim))))
    if lengths.size > 1 and np.ptp(lengths) < 1e-4 * lengths.max():
        raise UsageError(
            "Every z of this prior is equally long: z lies on a sphere, and annealed importance "
            "sampling moves it in straight lines. Take the importance-weighted bound: "
            "vae.log_likelihood(x), or --estimator iw."
        )


def _compiled(vae: VAE, leapfrog_steps: int, adapts: bool) -> Annealing:
    """Kept on the model, past Keras's tracking of attributes, so that it compiles only once."""
    kept = vae.__dict__.setdefault("_annealing", {})
    if (leapfrog_steps, adapts) not in kept:
        kept[leapfrog_steps, adapts] = Annealing(vae, leapfrog_steps, adapts)
    return kept[leapfrog_steps, adapts]


def _joined(parts: list[Annealed]) -> Annealed:
    """The chains of all batches."""
    return Annealed(
        np.concatenate([part.log_weights for part in parts], axis=1),
        np.concatenate([part.acceptance for part in parts]),
        parts[0].reverse,
    )
