"""Chains that anneal from p(z) to p(x, z) or back: compiled, some temperatures to a call.

    f_beta(z) = p(z) p(x|z)^beta

See `kelbo.ais` for what they are good for.
"""

import keras
from keras import ops

from kelbo.backends.gradient import value_and_gradient
from kelbo.bounds import ChunkSeed
from kelbo.distributions.distribution import Tensor
from kelbo.vae import VAE

# The share of proposals that a chain should accept (Neal, "MCMC using Hamiltonian dynamics", 2011,
# section 4.4), and how far one turn moves the logarithm of a step size towards it.
_ACCEPTANCE = 0.65
_GAIN = 0.2

# Chains of one datum that have one density at a point: z, (chains, batch, *latent), log p(x|z) and
# log p(z), (chains, batch), and the gradients of the two.
Point = dict[str, Tensor]


class Annealing(keras.Model):
    """Some turns of the chains of a batch: weigh them, then move them at a temperature.

    Being a keras.Model it is compiled on every backend by Keras itself. A move is a trajectory of
    Hamiltonian dynamics, accepted or not, which leaves f_beta as it is (Neal 2011).

    Args:
        model: a VAE.
        leapfrog_steps: of a trajectory.
        adapts: whether each datum's step size is moved, turn by turn, to where the chains accept
            65% of their proposals; else the step sizes are given.
    """

    def __init__(self, model: VAE, leapfrog_steps: int, adapts: bool):
        # Densities are float32, whatever the networks compute in.
        super().__init__(name="annealing", dtype="float32")
        self.model = model
        self.leapfrog_steps = leapfrog_steps
        self.adapts = adapts
        self.built = True

    def call(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The chains after `turns` turns.

        Args:
            inputs: data, what the model takes; z, (chains, batch, *latent); keys, (turns, 2), of
                the draws; increments and powers, (turns,), what beta rises by in a turn's weight
                and the beta of its move; step_sizes, (turns, batch), of which a model that adapts
                takes the first.

        Returns:
            z; log_weights, (chains, batch), the sum of increment * log p(x|z) over the turns;
            acceptance, (batch,), the mean over turns and chains; step_sizes, (turns, batch), as
            they were used, and next_size, (batch,), for the turn after them.
        """
        data, sizes = inputs["data"], inputs["step_sizes"]
        keys, powers, increments = inputs["keys"], inputs["powers"], inputs["increments"]
        encoded = self.model.encode_once(data, training=False)
        turns = ops.shape(sizes)[0]

        def turn(index: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
            point = state["point"]
            size = state["size"] if self.adapts else sizes[index]
            log_weights = state["log_weights"] + increments[index] * point["log_px_z"]
            seed = ChunkSeed(keys[index])
            point, accepted = self._move(data, encoded, point, powers[index], size, seed)
            now = ops.cast(ops.arange(turns) == index, "float32")[:, None]
            return {
                "point": point,
                "log_weights": log_weights,
                "acceptance": state["acceptance"] + accepted / ops.cast(turns, "float32"),
                "step_sizes": state["step_sizes"] + now * size,
                "size": size * ops.exp(_GAIN * (accepted - _ACCEPTANCE)),
            }

        point = self._point(data, encoded, inputs["z"])
        start = {
            "point": point,
            "log_weights": ops.zeros_like(point["log_px_z"]),
            "acceptance": ops.zeros_like(sizes[0]),
            "step_sizes": ops.zeros_like(sizes),
            "size": sizes[0],
        }
        end = ops.fori_loop(0, turns, turn, start)
        return {
            "z": end["point"]["z"],
            "next_size": end["size"],
            **{name: end[name] for name in ("log_weights", "acceptance", "step_sizes")},
        }

    def _point(self, data: Tensor, encoded: dict, z: Tensor) -> Point:
        """Everything about z that a move asks for."""
        shape = ops.shape(z)

        p = self.model.prior.distribution(encoded["prior"])

        def log_px_z(rows: Tensor) -> Tensor:
            trace = self.model.trace_at(data, encoded, ops.reshape(rows, shape))
            return ops.reshape(trace.log_px_z, (-1,))

        def log_pz(rows: Tensor) -> Tensor:
            return ops.reshape(p.log_prob(ops.reshape(rows, shape)), (-1,))

        point = {"z": z}
        rows = ops.reshape(z, (-1, *shape[2:]))
        for name, density in (("log_px_z", log_px_z), ("log_pz", log_pz)):
            value, gradient = value_and_gradient(density, rows)
            point[name] = ops.reshape(value, shape[:2])
            point[f"gradient_of_{name}"] = ops.reshape(gradient, shape)
        return point

    def _move(
        self,
        data: Tensor,
        encoded: dict,
        point: Point,
        power: Tensor,
        size: Tensor,
        seed: ChunkSeed,
    ) -> tuple[Point, Tensor]:
        """One trajectory at beta = `power`; the chains there, and the acceptance, (batch,)."""
        shape = ops.shape(point["z"])
        event = len(shape) - 2

        def slope(at: Point) -> Tensor:
            return at["gradient_of_log_pz"] + power * at["gradient_of_log_px_z"]

        def energy(at: Point, velocity: Tensor) -> Tensor:
            kinetic = 0.5 * ops.sum(ops.square(velocity), axis=tuple(range(2, 2 + event)))
            return kinetic - at["log_pz"] - power * at["log_px_z"]

        # Trajectories of one length may come back to where they began, on and on.
        jitter = keras.random.uniform((), 0.8, 1.2, dtype="float32", seed=seed)
        step = ops.reshape(jitter * size, (-1, *([1] * event)))
        velocity = keras.random.normal(shape, dtype="float32", seed=seed)
        before = energy(point, velocity)

        def leap(_: Tensor, state: tuple[Point, Tensor]) -> tuple[Point, Tensor]:
            at, velocity = state
            velocity = velocity + 0.5 * step * slope(at)
            at = self._point(data, encoded, at["z"] + step * velocity)
            return at, velocity + 0.5 * step * slope(at)

        proposed, velocity = ops.fori_loop(0, self.leapfrog_steps, leap, (point, velocity))
        change = before - energy(proposed, velocity)
        # Where a trajectory left what float32 can hold the proposal is not accepted.
        probability = ops.exp(ops.minimum(ops.where(ops.isfinite(change), change, -1e30), 0.0))
        draw = keras.random.uniform(ops.shape(probability), dtype="float32", seed=seed)
        accepted = draw < probability

        def chosen(name: str) -> Tensor:
            ours = ops.reshape(accepted, (*shape[:2], *([1] * (len(point[name].shape) - 2))))
            return ops.where(ours, proposed[name], point[name])

        return {name: chosen(name) for name in point}, ops.mean(probability, axis=0)
