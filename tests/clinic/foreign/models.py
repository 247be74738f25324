"""VAEs whose classes are not in their files, as people write and save them.

Each returns the model, its encoder to mu and log_var, and its decoder.
"""

import keras
from keras import layers, ops

from tests.clinic.diagnosis.models import (
    DIM,
    LATENT,
    SHAPE,
    Sampling,
    cross_entropy,
    image_decoder,
    image_encoder,
    make_decoder,
    make_encoder,
)


class VAE(keras.Model):
    """The way of keras.io's example, with a loss for all backends and a configuration to save."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.kl_tracker = keras.metrics.Mean(name="kl")

    def call(self, x):
        mu, log_var, z = self.encoder(x)
        return self.decoder(z), mu, log_var

    def get_config(self):
        return {**super().get_config(), "encoder": self.encoder, "decoder": self.decoder}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        decoded, mu, log_var = y_pred
        kl = -0.5 * (1 + log_var - ops.square(mu) - ops.exp(log_var))
        kl = ops.sum(kl, axis=tuple(range(1, len(mu.shape))))
        self.kl_tracker.update_state(kl)
        return ops.mean(cross_entropy(x, decoded) + kl)


@keras.saving.register_keras_serializable("tests")
class RegisteredVAE(VAE):
    pass


class AddKL(layers.Layer):
    """Adds the KL of what it hands on."""

    def call(self, inputs):
        mu, log_var = inputs
        kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
        self.add_loss(ops.mean(kl))
        return [mu, log_var]


class AddLoss(layers.Layer):
    """Adds the whole loss and hands the reconstruction on."""

    def call(self, inputs):
        x, decoded, mu, log_var = inputs
        kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1)
        self.add_loss(ops.mean(cross_entropy(x, decoded) + kl))
        return decoded


class Scale(layers.Layer):
    """A layer with a weight, in a place where it is needed."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.scale


def compiled(model):
    model(ops.zeros((2, *SHAPE)))
    model.compile("adam")
    return model


def renamed(network, name):
    return keras.Model(network.input, network.output, name=name)


def subclassed(kind=VAE, encoder=None, decoder=None):
    encoder = make_encoder() if encoder is None else encoder
    decoder = make_decoder() if decoder is None else decoder
    return compiled(kind(encoder, decoder, name="theirs")), encoder, decoder


def registered():
    return subclassed(RegisteredVAE)


def of_images():
    """Z is an image, too."""
    return subclassed(encoder=image_encoder(), decoder=image_decoder())


def with_parts_of_every_kind():
    """Networks inside networks, weights that no training changes, and names of other kinds."""
    x = keras.Input(SHAPE)
    body = keras.Sequential([layers.Flatten(), layers.Dense(12, "tanh")], name="body")
    h = layers.Reshape((4, 4))(layers.BatchNormalization()(layers.Flatten()(x)))
    h = layers.Bidirectional(layers.GRU(5))(h) * 0.5
    h = layers.Concatenate()([body(x), h])
    q = {"z_mean": layers.Dense(LATENT)(h), "logvar": layers.Dense(LATENT)(h)}
    z = Sampling()(list(q.values()))
    encoder = keras.Model(x, {**q, "a_sample": z}, name="to_z")
    z = keras.Input((LATENT,))
    generator = keras.Sequential(
        [layers.Dense(DIM), layers.Reshape(SHAPE), layers.Activation("sigmoid")], name="generator"
    )
    generator(z)

    class OfOtherNames(VAE):
        def __init__(self, inference, generative, **kwargs):
            super().__init__(inference, generative, **kwargs)

        def get_config(self):
            networks = {"inference": self.encoder, "generative": self.decoder}
            return {**keras.Model.get_config(self), **networks}

        def call(self, x):
            q = self.encoder(x)
            return self.decoder(q["a_sample"]), q["z_mean"], q["logvar"]

    model = compiled(OfOtherNames(encoder, generator))
    for weight in encoder.non_trainable_weights:
        if weight.name.startswith("moving"):
            weight.assign(weight + 0.5)
    return model, keras.Model(encoder.inputs, [encoder.output[k] for k in q]), generator


def nested():
    """Functional: the networks are layers, and one of the KL stands between them."""
    x = keras.Input(SHAPE)
    encoder = make_encoder()
    encoder = keras.Model(encoder.inputs, encoder.outputs[:2], name="inference")
    decoder = renamed(make_decoder(), "generation")
    z = Sampling()(AddKL()(encoder(x)))
    model = keras.Model(x, decoder(z), name="vae")
    model.compile("adam", keras.losses.BinaryCrossentropy(reduction="sum"))
    return model, encoder, decoder


def flat(sampling=None, activation="sigmoid", loss="binary_crossentropy", scale=False):
    """Functional and in one piece, of flat images, with a bound on log_var."""
    x = keras.Input((DIM,))
    h = layers.Dense(12, "tanh")(x)
    mu = layers.Dense(LATENT, name="z_mean")(h)
    log_var = ops.clip(layers.Dense(LATENT, name="z_log_var")(h), -80, 20)
    z = (sampling or Sampling(name="z"))(AddKL()([mu, log_var]))
    h = layers.Dense(12, "tanh")(z)
    if scale:
        h = Scale(name="scale")(h)
    decoded = layers.Dense(DIM, activation)(h)
    model = keras.Model(x, decoded, name="vae")
    model.compile("adam", loss)
    return model, keras.Model(x, [mu, log_var]), keras.Model(z, decoded)


def flat_lambda():
    def sample(arguments):
        mu, log_var = arguments
        return mu + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mu), seed=5)

    return flat(layers.Lambda(sample, name="z", output_shape=(LATENT,)))


def flat_logits():
    return flat(activation=None, loss=keras.losses.BinaryCrossentropy(from_logits=True))


def flat_squared_error():
    return flat(activation=None, loss="mse")


def loss_layer():
    """The book's last layer, which computes the loss."""
    encoder, decoder = make_encoder(), renamed(make_decoder(), "to_x")
    mu, log_var, z = encoder.outputs
    decoded = AddLoss()([encoder.inputs[0], decoder(z), mu, log_var])
    model = keras.Model(encoder.inputs, decoded, name="vae")
    model.compile("adam")
    return model, encoder, decoder


def unnamed():
    """Functional and in one piece; nothing is called by its role."""
    x = keras.Input((DIM,))
    h = layers.Dense(12, "tanh")(x)
    mu, log_var = layers.Dense(LATENT)(h), layers.Dense(LATENT)(h)
    z = Sampling()(AddKL()([mu, log_var]))
    decoded = layers.Dense(DIM, "sigmoid")(layers.Dense(12, "tanh")(z))
    model = keras.Model(x, decoded)
    model.compile("adam", keras.losses.BinaryCrossentropy(reduction="sum"))
    return model, keras.Model(x, [mu, log_var]), keras.Model(z, decoded)


def with_noise_as_input():
    """No layer of its own: z is mu + exp(log_var / 2) epsilon, and epsilon is an input."""
    x, epsilon = keras.Input((DIM,)), keras.Input((LATENT,), name="epsilon")
    mu, log_var = layers.Dense(LATENT, name="mu")(x), layers.Dense(LATENT, name="log_var")(x)
    both = layers.Concatenate()([mu, log_var])
    z = mu + ops.exp(0.5 * log_var) * epsilon
    decoded = layers.Dense(DIM, "sigmoid")(z)
    model = keras.Model([x, epsilon], [decoded, both])
    return model, keras.Model(x, [mu, log_var]), keras.Model(z, decoded)


class Noise(layers.Layer):
    """Noise in the shape of what it gets."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, inputs):
        return keras.random.normal(ops.shape(inputs), seed=self.seed_generator)


def inline(nested=False, bound=None):
    """All in the graph: the KL, which is an output, and z = mu + exp(log_var / 2) noise."""
    x = keras.Input((DIM,))
    h = layers.Dense(12, "tanh")(x)
    mu = layers.Dense(LATENT, name="z_mean")(h)
    log_var = layers.Dense(LATENT, name="z_log_var")(h)
    if bound is not None:
        log_var = bound(log_var)
    z = mu + ops.exp(0.5 * log_var) * Noise()(mu)
    kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1, keepdims=True)
    to_x = [layers.Dense(12, "tanh"), layers.Dense(DIM, "sigmoid")]
    given = keras.Input((LATENT,))
    decoder = keras.Model(given, to_x[1](to_x[0](given)), name="decoder")
    decoded = decoder(z) if nested else to_x[1](to_x[0](z))
    return keras.Model(x, [decoded, kl]), keras.Model(x, [mu, log_var]), decoder


def inline_nested():
    return inline(nested=True)


def inline_clipped():
    return inline(bound=lambda log_var: ops.clip(log_var, -0.1, 0.1))


def of_keras_alone(weight=1.0, loss="binary_crossentropy", kl=True, nested=False):
    """Keras's own layers and losses: the file has all that the training needs."""
    x = keras.Input((DIM,))
    h = layers.Dense(12, "tanh")(x)
    mu, log_var = (layers.Dense(LATENT, name=name)(h) for name in ("z_mean", "z_log_var"))
    decoder = keras.Sequential(
        [keras.Input((LATENT,)), layers.Dense(12, "tanh"), layers.Dense(DIM, "sigmoid")], name="x"
    )
    if nested:
        mu, log_var = keras.Model(x, [mu, log_var], name="encoder")(x)
    z = mu + ops.exp(0.5 * log_var) * layers.GaussianNoise(1.0, seed=5)(ops.zeros_like(mu))
    decoded = decoder(z)
    if not nested:
        decoded = layers.Dense(DIM, "sigmoid")(layers.Dense(12, "tanh")(z))
    of_kl = -0.5 * ops.sum(1 + log_var - ops.square(mu) - ops.exp(log_var), axis=-1, keepdims=True)
    model = keras.Model(x, [decoded, of_kl] if kl else decoded)
    losses, of_losses = [loss, "mean_absolute_error"], [float(DIM), weight]
    model.compile("adam", losses if kl else loss, loss_weights=of_losses if kl else None)
    return model


def conditional(labels=2):
    """Functional and in one piece; encoder and decoder take a label, too."""
    x, label = keras.Input(SHAPE), keras.Input((labels,), name="label")
    h = layers.Concatenate()([label, layers.Flatten()(x)])
    mu, log_var = layers.Dense(LATENT)(h), layers.Dense(LATENT)(h)
    z = Sampling()(AddKL()([mu, log_var]))
    decoded = layers.Dense(DIM, "sigmoid")(layers.Concatenate()([z, label]))
    model = keras.Model([x, label], layers.Reshape(SHAPE)(decoded))
    model.compile("adam", cross_entropy)
    return model


class OfLabels(VAE):
    """A conditional VAE whose decoder takes the label first."""

    def call(self, inputs):
        mu, log_var, z = self.encoder(inputs)
        return self.decoder([inputs[1], z]), mu, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x[0], y, y_pred, sample_weight, training)


def label_encoder():
    x, label = keras.Input(SHAPE, name="image"), keras.Input((LATENT,), name="label")
    h = layers.Concatenate()([layers.Flatten()(x), label])
    q = [layers.Dense(LATENT, name=name)(h) for name in ("z_mean", "z_log_var")]
    return keras.Model([x, label], [*q, Sampling()(q)], name="encoder")


def label_decoder(*names):
    """From a label and z, which have one shape."""
    label, z = (keras.Input((LATENT,), name=name) for name in names)
    decoded = layers.Dense(DIM, "sigmoid")(layers.Concatenate()([label, 2.0 * z]))
    return keras.Model([label, z], layers.Reshape(SHAPE)(decoded), name="decoder")


def of_labels(names=("the_label", "z_in"), **parts):
    """As many classes as latent dimensions."""
    networks = {"encoder": label_encoder(), "decoder": label_decoder(*names)}
    model = OfLabels(**networks | parts)
    model([ops.zeros((2, *SHAPE)), ops.zeros((2, LATENT))])
    model.compile("adam")
    return model


def of_labels_nested(names=(None, None)):
    """The same, functional: the whole model calls both networks."""
    encoder, decoder = label_encoder(), label_decoder(*names)
    x, label = keras.Input(SHAPE, name="x"), keras.Input((LATENT,), name="condition")
    mu, log_var, z = encoder([x, label])
    model = keras.Model([x, label], decoder([label, z]))
    model.encoder, model.decoder = encoder, decoder
    model.compile("adam", cross_entropy)
    return model


class Halves(VAE):
    """The way of TensorFlow's tutorial: one output has both mu and log_var."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.sampling = Sampling()

    def call(self, x):
        mu, log_var = ops.split(self.encoder(x), 2, axis=-1)
        return self.decoder(self.sampling([mu, log_var])), mu, log_var


def halves():
    encoder = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2 * LATENT)])
    return subclassed(Halves, encoder)[0]
