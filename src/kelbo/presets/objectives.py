"""The objectives by name: what is minimised, in nats unless it says otherwise."""

from kelbo.presets.option import Option
from kelbo.presets.part import Part
from kelbo.presets.warmup import OPTIONS as WARMUP

_NO_KL = "an autoencoder has no KL"
_NO_KL_TERM = "the importance-weighted bound has no KL term to weigh"
_OWN_WEIGHT = "the article's weighting has its own constant, the option weight"

_BETA = Option("beta", float, 1.0, "Weight of the KL; 1 is the ELBO.", minimum=0.0)
_SAMPLES = Option(
    "importance_samples",
    int,
    5,
    "Draws of z for each datum in training: K.",
    minimum=1,
    argument="num_samples",
)
_WEIGHT = Option(
    "weight", float, 1e-4, "In front of the mean KL, beside the mean cross-entropy.", minimum=0.0
)


def _refuses(reason: str) -> dict[str, str]:
    """A weight of the KL and its warm-up, refused for this reason."""
    return dict.fromkeys([_BETA.name, *(one.name for one in WARMUP)], reason)


OBJECTIVES = {
    part.name: part
    for part in (
        Part(
            "elbo",
            "ELBO",
            "-E_q[log p(x|z)] + beta KL(q(z|x) || p(z))",
            'Kingma and Welling, "Auto-encoding variational Bayes", 2014',
            (_BETA, *WARMUP),
            scheduled="beta",
        ),
        Part(
            "iwae",
            "IWAE",
            "-log 1/K sum_k p(x, z_k) / q(z_k|x)",
            'Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016',
            (_SAMPLES,),
            refuses=_refuses(_NO_KL_TERM),
        ),
        Part(
            "article",
            "ArticleObjective",
            "mean_D(-log p(x|z)) + weight mean_d(KL), averages where the ELBO sums",
            'Anracom, "Variational Autoencoder with Tensorflow", linux-blog.anracom.com, 2022',
            (_WEIGHT,),
            refuses=_refuses(_OWN_WEIGHT),
        ),
        Part(
            "reconstruction",
            "Reconstruction",
            "-log p(x|z)",
            'Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", '
            "2006",
            refuses=_refuses(_NO_KL),
        ),
    )
}
