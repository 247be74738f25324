"""The objectives by name: what is minimised, in nats unless it says otherwise."""

from dataclasses import replace

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
_AVERAGES = Option(
    "averages", int, 5, "Bounds of K draws each: M.", minimum=1, argument="num_averages"
)
_GRADIENT = Option(
    "gradient",
    str,
    "reparameterised",
    "The encoder's gradient; stl and dreg leave out what is noise.",
    choices=("reparameterised", "stl", "dreg"),
)
_GRADIENT_OF_ELBO = replace(
    _GRADIENT,
    meaning="The encoder's gradient; stl leaves out what is noise.",
    choices=("reparameterised", "stl"),
)
_RAINFORTH = 'Rainforth et al., "Tighter variational bounds are not necessarily better", 2018'
_WEIGHT = Option(
    "weight", float, 1e-4, "In front of the mean KL, beside the mean cross-entropy.", minimum=0.0
)


def _refuses(reason: str) -> dict[str, str]:
    """A weight of the KL and its warm-up, refused for this reason."""
    return dict.fromkeys([_BETA.name, *(one.name for one in WARMUP)], reason)


def _kernel(default: str) -> Option:
    return Option("kernel", str, default, "Of the MMD.", choices=("imq", "rbf"))


OBJECTIVES = {
    part.name: part
    for part in (
        Part(
            "elbo",
            "ELBO",
            "-E_q[log p(x|z)] + beta KL(q(z|x) || p(z))",
            'Kingma and Welling, "Auto-encoding variational Bayes", 2014',
            (_BETA, *WARMUP, _GRADIENT_OF_ELBO),
            scheduled="beta",
        ),
        Part(
            "free-bits",
            "FreeBits",
            "-E_q[log p(x|z)] + beta sum_j max(lambda, mean over the batch of KL_j)",
            'Kingma et al., "Improved variational inference with inverse autoregressive flow", '
            "2016",
            (
                Option("nats", float, 0.5, "Below this a KL costs nothing: lambda.", minimum=0.0),
                Option(
                    "per",
                    str,
                    "dimension",
                    "What has a floor of its own: each dimension of z, or all of it.",
                    choices=("dimension", "group"),
                ),
                _BETA,
                *WARMUP,
            ),
            scheduled="beta",
        ),
        Part(
            "capacity",
            "Capacity",
            "-E_q[log p(x|z)] + gamma |KL(q(z|x) || p(z)) - C|",
            'Burgess et al., "Understanding disentangling in beta-VAE", 2018',
            (
                Option("capacity", float, 25.0, "C in nats.", minimum=0.0),
                Option(
                    "gamma",
                    float,
                    10.0,
                    "Weight of the difference; the paper's 1000 needs a long warm-up.",
                    minimum=0.0,
                ),
                *WARMUP,
            ),
            scheduled="capacity",
        ),
        Part(
            "iwae",
            "IWAE",
            "-log 1/K sum_k p(x, z_k) / q(z_k|x)",
            'Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016',
            (_SAMPLES, _GRADIENT),
            refuses=_refuses(_NO_KL_TERM),
        ),
        Part(
            "miwae",
            "MIWAE",
            "-1/M sum_m log 1/K sum_k p(x, z_mk) / q(z_mk|x)",
            _RAINFORTH,
            (_AVERAGES, _SAMPLES, _GRADIENT),
            refuses=_refuses(_NO_KL_TERM),
        ),
        Part(
            "piwae",
            "PIWAE",
            "encoder as miwae; decoder -log 1/(M K) sum_mk p(x, z_mk) / q(z_mk|x)",
            _RAINFORTH,
            (_AVERAGES, _SAMPLES, _GRADIENT),
            refuses=_refuses(_NO_KL_TERM),
        ),
        Part(
            "ciwae",
            "CIWAE",
            "-share ELBO - (1 - share) log 1/K sum_k p(x, z_k) / q(z_k|x)",
            _RAINFORTH,
            (
                _SAMPLES,
                Option("share", float, 0.5, "Of the ELBO.", minimum=0.0, maximum=1.0),
                _GRADIENT,
            ),
            refuses=_refuses(_NO_KL_TERM),
        ),
        Part(
            "renyi",
            "Renyi",
            "-1/(1 - alpha) log 1/K sum_k (p(x, z_k) / q(z_k|x))^(1 - alpha)",
            'Li and Turner, "Renyi divergence variational inference", 2016',
            (
                _SAMPLES,
                Option("alpha", float, 0.5, "1 is the ELBO, 0 the importance-weighted bound."),
                _GRADIENT,
            ),
            refuses=_refuses(_NO_KL_TERM),
        ),
        Part(
            "beta-tc",
            "BetaTC",
            "-E_q[log p(x|z)] + alpha I(x; z) + beta TC(z) + gamma sum_j KL(q(z_j) || p(z_j))",
            'Chen et al., "Isolating sources of disentanglement in variational autoencoders", 2018',
            (
                Option("beta", float, 6.0, "Weight of the total correlation.", minimum=0.0),
                Option("alpha", float, 1.0, "Weight of the mutual information.", minimum=0.0),
                Option("gamma", float, 1.0, "Weight of the dimensions' KL.", minimum=0.0),
                Option(
                    "sampling",
                    str,
                    "stratified",
                    "How q(z) is estimated from a batch.",
                    choices=("stratified", "weighted"),
                ),
                *WARMUP,
            ),
            scheduled="beta",
        ),
        Part(
            "dip-vae",
            "DIPVAE",
            "-ELBO + off_diagonal sum_(i != j) C_ij^2 + diagonal sum_i (C_ii - 1)^2, C = Cov[z]",
            'Kumar, Sattigeri and Balakrishnan, "Variational inference of disentangled latent '
            'concepts from unlabeled observations", 2018',
            (
                Option(
                    "kind",
                    str,
                    "ii",
                    "C of the means of q(z|x) or of the draws.",
                    choices=("i", "ii"),
                ),
                Option("off_diagonal", float, 10.0, "Weight of the covariances.", minimum=0.0),
                Option("diagonal", float, 10.0, "Weight of the variances.", minimum=0.0),
                _BETA,
                *WARMUP,
            ),
            scheduled="beta",
        ),
        Part(
            "info-vae",
            "InfoVAE",
            "-E_q[log p(x|z)] + (1 - alpha) KL + (alpha + lambda - 1) MMD^2(q(z), p(z))",
            'Zhao, Song and Ermon, "InfoVAE: balancing learning and inference in variational '
            'autoencoders", 2019',
            (
                Option("alpha", float, 0.0, "1 leaves the KL out.", maximum=1.0),
                Option("mmd_weight", float, 1000.0, "lambda.", minimum=0.0, argument="scale"),
                _kernel("rbf"),
                *WARMUP,
            ),
            scheduled="mmd_weight",
        ),
        Part(
            "wae",
            "WAE",
            "-log p(x|z) + weight MMD^2(q(z), p(z))",
            'Tolstikhin et al., "Wasserstein auto-encoders", 2018',
            (
                Option("weight", float, 100.0, "Of the MMD.", minimum=0.0),
                _kernel("imq"),
                *WARMUP,
            ),
            scheduled="weight",
            refuses=_refuses("the MMD stands in the place of the KL"),
        ),
        Part(
            "ssim",
            "StructuralSimilarity",
            "weight (1 - SSIM(x, mean of p(x|z))) + beta KL(q(z|x) || p(z))",
            'Snell et al., "Learning to generate images with perceptual similarity metrics", 2017',
            (
                Option("weight", float, 100.0, "Of the reconstruction.", minimum=0.0),
                Option("scales", int, 1, "1 is SSIM, more MS-SSIM.", minimum=1, maximum=5),
                _BETA,
                *WARMUP,
            ),
            scheduled="beta",
        ),
        Part(
            "rae",
            "RAE",
            "-log p(x|z) + code_weight |z|^2 / 2 + weight R, R of the decoder",
            'Ghosh et al., "From variational to deterministic autoencoders", 2020',
            (
                Option(
                    "regularisation",
                    str,
                    "l2",
                    "R: the weights' squares, or those of the decoder's slope.",
                    choices=("l2", "gradient-penalty"),
                ),
                Option("code_weight", float, 1e-4, "Of the code's norm.", minimum=0.0),
                Option("weight", float, 1e-7, "Of R.", minimum=0.0),
            ),
            refuses=_refuses(_NO_KL),
        ),
        Part(
            "contractive",
            "Contractive",
            "-log p(x|z) + weight |dz/dx|^2",
            'Rifai et al., "Contractive auto-encoders", 2011',
            (Option("weight", float, 0.1, "Of the encoder's slope.", minimum=0.0),),
            refuses=_refuses(_NO_KL),
        ),
        Part(
            "denoising",
            "Denoising",
            "-log p(x|z), z of a corrupted x",
            'Vincent et al., "Extracting and composing robust features with denoising '
            'autoencoders", 2008',
            (
                Option(
                    "corruption",
                    str,
                    "masking",
                    "What the encoder sees in training.",
                    choices=("masking", "gaussian", "salt-and-pepper"),
                ),
                Option("level", float, 0.25, "A probability, or a deviation.", minimum=0.0),
            ),
            refuses=_refuses(_NO_KL),
        ),
        Part(
            "sparse",
            "Sparse",
            "-log p(x|z) + weight sum_j KL(Bernoulli(target) || Bernoulli(mean of z_j))",
            'Ng, "Sparse autoencoder", CS294A lecture notes, 2011',
            (
                Option("weight", float, 1.0, "Of the sparsity.", minimum=0.0),
                Option("target", float, 0.05, "Activity of a unit.", minimum=1e-3, maximum=0.999),
            ),
            refuses=_refuses(_NO_KL),
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
