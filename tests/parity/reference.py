"""kelbo's losses once more, in float64 NumPy and from the papers' formulas alone."""

import numpy as np

SLOPE = 0.3


def dense(weights, name, x):
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def leaky(x):
    return np.where(x > 0.0, x, SLOPE * x)


def strided(start, count, stride):
    """`count` places from `start` on, `stride` apart."""
    return slice(start, start + (count - 1) * stride + 1, stride)


def convolution(weights, name, x, stride):
    """3x3, padding "same"."""
    kernel, (n, height, width, _) = weights[f"{name}/kernel"], x.shape
    out = -(-height // stride), -(-width // stride)
    pads = [max((o - 1) * stride + 3 - s, 0) for o, s in zip(out, (height, width), strict=True)]
    x = np.pad(x, [(0, 0), *[(pad // 2, pad - pad // 2) for pad in pads], (0, 0)])
    y = np.zeros((n, *out, kernel.shape[-1]))
    for u, v in np.ndindex(3, 3):
        y += x[:, strided(u, out[0], stride), strided(v, out[1], stride)] @ kernel[u, v]
    return y + weights[f"{name}/bias"]


def transposed_convolution(weights, name, x, stride):
    """3x3, padding "same": the gradient of a convolution with respect to its input."""
    kernel, (n, height, width, _) = weights[f"{name}/kernel"], x.shape
    y = np.zeros((n, (height - 1) * stride + 3, (width - 1) * stride + 3, kernel.shape[2]))
    for u, v in np.ndindex(3, 3):
        y[:, strided(u, height, stride), strided(v, width, stride)] += x @ kernel[u, v].T
    start = (3 - stride) // 2
    y = y[:, start : start + height * stride, start : start + width * stride]
    return y + weights[f"{name}/bias"]


def mlp(weights, x, epsilon, outputs):
    """Mu and log_var of q, and the decoder's outputs at mu + exp(log_var / 2) epsilon."""
    h = np.tanh(dense(weights, "enc_dense_1", x.reshape(len(x), -1)))
    mu, log_var = dense(weights, "mu", h), dense(weights, "log_var", h)
    h = np.tanh(dense(weights, "dec_dense_1", mu + np.exp(0.5 * log_var) * epsilon))
    names = ["dec_output"] if outputs == 1 else ["dec_output_1", "dec_output_2"]
    shape = (*epsilon.shape[:-1], *x.shape[1:])
    return mu, log_var, [dense(weights, name, h).reshape(shape) for name in names]


def conv(weights, x, epsilon, outputs):
    """The same for two convolutions of stride 1 and 2 on images with one odd side, 5x4."""
    h = leaky(convolution(weights, "enc_conv_1", x, 1))
    h = leaky(convolution(weights, "enc_conv_2", h, 2))
    shape, h = h.shape, h.reshape(len(x), -1)
    mu, log_var = dense(weights, "mu", h), dense(weights, "log_var", h)
    h = dense(weights, "dec_dense", mu + np.exp(0.5 * log_var) * epsilon).reshape(shape)
    h = leaky(transposed_convolution(weights, "dec_conv_2", h, 2)[:, :5, :4])
    return mu, log_var, [leaky(transposed_convolution(weights, "dec_conv_1", h, 1))]


def bernoulli(weights, x, logits):
    p = 1.0 / (1.0 + np.exp(-logits))
    return x * np.log(p) + (1.0 - x) * np.log(1.0 - p)


def continuous_bernoulli(weights, x, logits):
    p = 1.0 / (1.0 + np.exp(-logits))
    log_c = np.log(2.0 * np.arctanh(1.0 - 2.0 * p) / (1.0 - 2.0 * p))
    return bernoulli(weights, x, logits) + log_c


def normal(x, mu, variance):
    return -0.5 * np.log(2.0 * np.pi * variance) - (x - mu) ** 2 / (2.0 * variance)


LOG_PX_Z = {
    "bernoulli": bernoulli,
    "continuous-bernoulli": continuous_bernoulli,
    "gaussian": lambda weights, x, mu: normal(x, mu, 1.0),
    "gaussian-shared": lambda weights, x, mu: normal(x, mu, np.exp(weights["likelihood/log_var"])),
    "gaussian-per-pixel": lambda weights, x, mu, log_var: normal(x, mu, np.exp(log_var)),
}


def loss(network, likelihood, objective, weights, x, epsilon):
    """The mean loss of a batch."""
    outputs = 2 if likelihood == "gaussian-per-pixel" else 1
    mu, log_var, parameters = network(weights, x, epsilon, outputs)
    log_px_z = LOG_PX_Z[likelihood](weights, x, *parameters)
    log_px_z = log_px_z.reshape(*epsilon.shape[:-1], -1)
    if objective == "iwae":
        z = mu + np.exp(0.5 * log_var) * epsilon
        log_weights = log_px_z.sum(axis=-1) + normal(z, 0.0, 1.0).sum(axis=-1)
        log_weights -= normal(z, mu, np.exp(log_var)).sum(axis=-1)
        return -np.mean(np.log(np.mean(np.exp(log_weights), axis=0)))
    kl = -0.5 * (1.0 + log_var - mu**2 - np.exp(log_var))
    if objective == "article":
        return np.mean(-log_px_z.mean(axis=1) + 0.01 * kl.mean(axis=1))
    beta = {"elbo": 1.0, "beta": 2.5, "warm-up": 0.25}[objective]
    return np.mean(beta * kl.sum(axis=1) - log_px_z.sum(axis=1))


def gradients(function, weights, step=1e-6):
    """The gradient of `function(weights)` by central differences."""
    result = {}
    for name, weight in weights.items():
        result[name] = np.empty_like(weight)
        for index in np.ndindex(weight.shape):
            values = []
            for sign in (1.0, -1.0):
                moved = weight.copy()
                moved[index] += sign * step
                values.append(function({**weights, name: moved}))
            result[name][index] = (values[0] - values[1]) / (2.0 * step)
    return result
