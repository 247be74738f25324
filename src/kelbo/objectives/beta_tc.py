"""The beta-TC-VAE: the three parts of the mean KL, each with a weight of its own."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Factorised, Tensor
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.likelihoods import Likelihood
from kelbo.objectives.example import example
from kelbo.objectives.objective import check_has_kl, elbo_terms
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace

_SAMPLING = ("stratified", "weighted")


@keras.saving.register_keras_serializable("kelbo")
class BetaTC(Scheduled):
    """loss = -E_q[log p(x|z)] + alpha I(x; z) + beta TC(z) + gamma sum_j KL(q(z_j) || p(z_j)).

    Chen et al., "Isolating sources of disentanglement in variational autoencoders", 2018, equation
    2. With q(z) the mean of q(z|x) over the training data, the mean KL is the sum of the three:

        I(x; z) = E[log q(z|x) - log q(z)]        mutual information of data and codes
        TC(z)   = E[log q(z) - sum_j log q(z_j)]  total correlation of the dimensions of z
        KL_j    = E[log q(z_j) - log p(z_j)]      of each dimension from the prior

    all in nats, and with every weight 1 the loss is minus the ELBO. q(z) is estimated from the
    M + 1 data of a batch, one of which z was drawn for:

    - "stratified": q(z|x) of that one counts 1/N, of each other (N - 1) / (N M). Its expectation is
      q(z). These are the weights of appendix C.2, 1/M and once (N - M) / (N M), averaged over which
      of the others is the one.
    - "weighted": all count 1 / (N (M + 1)) (equation 4). The parts that are reported are off by up
      to log N, but their gradients are those of a mean over the batch, and N cancels in them.

    N is the number of training data: `fit` counts arrays and kelbo's own batches; of a generator or
    another data set it has to be told. With several replicas each estimates q(z) from its own data.

    `mutual_information`, `total_correlation` and `dimension_kl` are logged beside the ELBO; each is
    the mean over a batch of draws, so they may be negative where they are small.

    Args:
        beta: weight of the total correlation, a number >= 0, or a schedule.
        alpha: weight of the mutual information.
        gamma: weight of the KL of the dimensions.
        sampling: "stratified" or "weighted".
        dataset_size: N, or None where `fit` can count the data.

    Raises:
        UsageError: an argument is none of these.
    """

    alpha: Weight
    beta: Weight
    gamma: Weight

    def __init__(
        self,
        beta: Weight = 6.0,
        alpha: Weight = 1.0,
        gamma: Weight = 1.0,
        sampling: str = "stratified",
        dataset_size: int | None = None,
        **kwargs: Any,
    ):
        super().__init__({"beta": beta, "alpha": alpha, "gamma": gamma}, **kwargs)
        if sampling not in _SAMPLING:
            raise UsageError(
                f"Expected sampling to be 'stratified' or 'weighted', received {sampling!r}."
            )
        if dataset_size is not None and whole("dataset_size", dataset_size) < 1:
            raise UsageError(f"Expected a dataset_size of at least 1, received {dataset_size!r}.")
        self.sampling = sampling
        self.dataset_size = None if dataset_size is None else int(dataset_size)
        parts = ("mutual_information", "total_correlation", "dimension_kl")
        self.logged = ("elbo", "reconstruction", "kl", *parts, *self.scheduled_names)

    def build(self, data_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        """Make the place for N, which is saved with the model; 0 where it is not known yet."""
        self.count = self.add_weight(
            shape=(), initializer="zeros", dtype="float32", trainable=False, name="dataset_size"
        )
        if self.dataset_size is not None:
            self.count.assign(float(self.dataset_size))
        super().build(data_shape, latent_shape)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse q(z|x) or p(z) whose dimensions depend on one another, and a prior of conditions.

        Raises:
            UsageError: with the way out.
        """
        name = type(self).__name__
        check_has_kl(name, posterior, prior)
        for kind in example(posterior, prior):
            if not isinstance(kind, Factorised):
                raise UsageError(
                    f"{name} takes the density of each dimension of z by itself, and a "
                    f"{type(kind).__name__} has none. Use kelbo.GaussianPosterior and "
                    "kelbo.StandardNormalPrior, or the objective kelbo.InfoVAE."
                )

    def prepare(self, count: int | None) -> None:
        """Take the number of training data, if none was given.

        Raises:
            UsageError: it is not known.
        """
        if self.dataset_size is not None:
            return
        if count is not None:
            self.count.assign(float(count))
        elif float(ops.convert_to_numpy(self.count)) == 0.0:
            raise UsageError(
                f"{type(self).__name__} depends on the number of training data, which is not known "
                "of this data set. Give it: kelbo.BetaTC(dataset_size=60_000)."
            )

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the logged terms, each (batch,)."""
        log_qz, log_qz_j = self._aggregate(trace)
        information = trace.log_qz_x - log_qz
        correlation = log_qz - log_qz_j
        dimensions = log_qz_j - trace.log_pz
        step = trace.step
        terms = elbo_terms(trace)
        loss = (
            self.now("alpha", step) * information
            + self.now("beta", step) * correlation
            + self.now("gamma", step) * dimensions
            - terms["reconstruction"]
        )
        return {
            "loss": loss,
            **terms,
            "mutual_information": information,
            "total_correlation": correlation,
            "dimension_kl": dimensions,
            **self.scheduled_terms(step),
        }

    def _aggregate(self, trace: Trace) -> tuple[Tensor, Tensor]:
        """log q(z) and sum_j log q(z_j) at each draw, (batch,) each."""
        size = ops.shape(trace.z)[0]
        # Row i: the draw for datum i under q(z|x) of each datum, (batch, batch, dimensions).
        q: Factorised = trace.q  # type: ignore[assignment]  # see `check`
        each = q.log_prob_per_dimension(ops.expand_dims(trace.z, 1))
        each = ops.reshape(each, (size, size, -1))
        own = ops.eye(size, dtype="float32")
        n, others = ops.convert_to_tensor(self.count), ops.cast(size, "float32") - 1.0
        if self.sampling == "weighted":
            log_weights = 0.0 * own - ops.log(n * (others + 1.0))
        else:
            rest = (n - 1.0) / (n * ops.maximum(others, 1.0))
            log_weights = ops.log(own / n + (1.0 - own) * rest)
        log_qz = ops.logsumexp(log_weights + ops.sum(each, axis=-1), axis=1)
        log_qz_j = ops.logsumexp(ops.expand_dims(log_weights, -1) + each, axis=1)
        return log_qz, ops.sum(log_qz_j, axis=-1)

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float | None:
        """The weight of the KL where its three parts have one weight; else None."""
        weights = {number_at(getattr(self, name), step) for name in ("alpha", "beta", "gamma")}
        return weights.pop() if len(weights) == 1 else None

    def in_words(self) -> str:
        """The weights of the three parts."""
        alpha, beta, gamma = (number_at(each) for each in (self.alpha, self.beta, self.gamma))
        return f"{alpha:g} mutual information + {beta:g} TC + {gamma:g} KL of dimensions"

    def get_config(self) -> dict[str, Any]:
        """The weights, the sampling and the number of data, if it was given."""
        own = {"sampling": self.sampling, "dataset_size": self.dataset_size}
        return {**super().get_config(), **own}
