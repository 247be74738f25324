"""The pairs of encoder and decoder networks by name."""

from kelbo.presets.part import Part

NETWORKS = {
    part.name: part
    for part in (
        Part(
            "conv",
            "conv",
            "three 3x3 convolutions; the decoder mirrors them",
            'Anracom, "Variational Autoencoder with Tensorflow", linux-blog.anracom.com, 2022',
        ),
        Part(
            "mlp",
            "mlp",
            "two hidden layers of 200 tanh units; the decoder mirrors them",
            'Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016',
        ),
    )
}
