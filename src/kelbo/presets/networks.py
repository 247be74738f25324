"""The pairs of encoder and decoder networks by name."""

from kelbo.presets.option import Option
from kelbo.presets.part import Part

_ACTIVATIONS = ("elu", "gelu", "leaky_relu", "relu", "selu", "silu", "softplus", "tanh")


def _options(
    width: int, of_width: str, depth: int, of_depth: str, activation: str, least_width: int = 1
) -> tuple[Option, ...]:
    """The options that every pair has, with the pair's defaults."""
    return (
        Option("width", int, width, of_width, minimum=least_width),
        Option("depth", int, depth, of_depth, minimum=1),
        Option("activation", str, activation, "Of every hidden layer.", choices=_ACTIVATIONS),
    )


NETWORKS = {
    part.name: part
    for part in (
        Part(
            "conv",
            "conv",
            "3x3 convolutions, all but the first halving the image; the decoder mirrors them",
            'Anracom, "Variational Autoencoder with Tensorflow", linux-blog.anracom.com, 2022',
            _options(
                32,
                "Channels of the first convolution; they double.",
                3,
                "Number of convolutions.",
                "leaky_relu",
            ),
        ),
        Part(
            "mlp",
            "mlp",
            "fully connected hidden layers; the decoder mirrors them",
            'Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016',
            _options(200, "Units of each hidden layer.", 2, "Number of hidden layers.", "tanh"),
        ),
        Part(
            "residual",
            "residual",
            "residual blocks with group normalisation, for images of any size",
            'He et al., "Identity mappings in deep residual networks", 2016',
            _options(
                32,
                "Channels at full size; they double at each smaller one.",
                3,
                "Number of sizes of the image.",
                "silu",
                least_width=4,
            ),
        ),
    )
}
