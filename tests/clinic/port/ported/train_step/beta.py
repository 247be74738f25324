"""A beta-VAE that draws z itself, and whose loss is one for each image until the end."""

import numpy as np
import keras
from keras import layers, ops


class BetaVAE(keras.Model):
    def __init__(self, latent_dim=2, beta=4.0):
        super().__init__()
        self.beta = beta
        self.encoder = keras.Sequential([layers.Dense(8, activation="relu")])
        self.to_moments = layers.Dense(2 * latent_dim)
        self.decoder = keras.Sequential([layers.Dense(16)])
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.kl_tracker = keras.metrics.Mean(name="kl")
        self.seed_generator = keras.random.SeedGenerator()

    @property
    def metrics(self):
        return [self.loss_tracker, self.kl_tracker]

    def reparameterize(self, mean, logvar):
        eps = keras.random.normal(
            shape=ops.shape(mean), dtype=self.compute_dtype, seed=self.seed_generator
        )
        return eps * ops.exp(logvar * 0.5) + mean

    def call(self, x):
        moments = self.to_moments(self.encoder(x))
        mean, logvar = moments[:, :2], moments[:, 2:]
        z = self.reparameterize(mean, logvar)
        x_logit = self.decoder(z)
        return x_logit, mean, logvar

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        x_logit, mean, logvar = y_pred
        cross_ent = ops.binary_crossentropy(output=x_logit, target=x, from_logits=True)
        reconstruction = ops.sum(cross_ent, axis=1)
        kl = -0.5 * ops.sum(1 + logvar - mean**2 - ops.exp(logvar), axis=1)
        loss = reconstruction
        loss += self.beta * kl
        self.loss_tracker.update_state(loss)
        self.kl_tracker.update_state(kl)
        # A tape follows the gradient of the sum.
        return ops.sum(loss)


images = np.random.RandomState(0).rand(16, 16).astype("float32")
vae = BetaVAE()
vae.compile(optimizer=keras.optimizers.SGD(0.01))
history = vae.fit(images, epochs=2, batch_size=8, shuffle=False, verbose=0)
