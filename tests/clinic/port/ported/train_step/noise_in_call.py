"""The model draws z itself, in a call that train_step uses."""

import numpy as np
import keras
from keras import layers, ops


class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = layers.Dense(4)
        self.decoder = layers.Dense(16)
        self.seed_generator = keras.random.SeedGenerator()

    def draw(self, mu, log_var):
        return mu + ops.exp(log_var / 2) * keras.random.normal(
            ops.shape(mu), dtype=self.compute_dtype, seed=self.seed_generator
        )

    def call(self, inputs):
        moments = self.encoder(inputs)
        mu, log_var = moments[:, :2], moments[:, 2:]
        return self.decoder(self.draw(mu, log_var)), mu, log_var

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        data = x
        outputs = y_pred
        reconstruction, mu, log_var = outputs
        reco = ops.mean(ops.sum(ops.square(data - reconstruction), axis=(1,)))
        kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
        loss = reco + kl
        return loss


images = np.random.RandomState(0).rand(16, 16).astype("float32")
vae = VAE()
vae.compile(optimizer=keras.optimizers.SGD(0.01))
history = vae.fit(images, images, epochs=2, batch_size=16, shuffle=False, verbose=0)
