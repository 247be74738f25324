"""One pass through the model: every log-probability of the equation."""

from dataclasses import dataclass

from kelbo.distributions.distribution import Distribution, Tensor


@dataclass(frozen=True)
class Trace:
    """What one pass of data x through a model yields, in nats.

    A VAE has every field. An autoencoder has no density on z: there `prior`, `log_pz`, `log_qz_x`
    and `kl` are None.

    Attributes:
        z: latent vectors drawn from q(z|x), (S..., batch, latent_dim).
        q: the posterior q(z|x).
        prior: the prior p(z).
        log_px_z: log p(x|z), (S..., batch).
        log_pz: log p(z), (S..., batch).
        log_qz_x: log q(z|x), (S..., batch).
        kl: KL(q(z|x) || p(z)), (batch,) in closed form where the table of `distributions.kl` has
            it, else its one-sample estimates log q(z|x) - log p(z), (S..., batch).
    """

    z: Tensor
    q: Distribution
    log_px_z: Tensor
    prior: Distribution | None = None
    log_pz: Tensor | None = None
    log_qz_x: Tensor | None = None
    kl: Tensor | None = None

    @property
    def log_weights(self) -> Tensor:
        """log p(x, z) - log q(z|x) of each draw, (S..., batch): its mean is the ELBO.

        Raises:
            ValueError: the trace is an autoencoder's.
        """
        if self.prior is None:
            raise ValueError("The trace of an autoencoder has no prior, so it has no weights.")
        return self.log_px_z + self.log_pz - self.log_qz_x
