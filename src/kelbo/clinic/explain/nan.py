"""Family G: NaN."""

import math
import re
from collections.abc import Mapping

from kelbo.clinic.explain.explanation import Explanation, Sign, Symptom

_LOSS = re.compile(r"(val_)?\w*(loss|elbo|reconstruction)|(val_)?kl\w*")

_CAUSES = (
    "Four causes are common: an input that is NaN already; a learning rate that is too high; "
    "exp(log_var) with a log_var that nothing bounds, at the start or after one large step; and "
    "log(0), where the cross-entropy is computed from probabilities by hand."
)
_RULE = (
    "Check the data once, pass logits to the cross-entropy (from_logits=True) instead of a "
    "sigmoid's output, bound log_var, clip the gradients."
)
_REPAIR = (
    "First ask np.isfinite(x_train).all(). Then, one after the other: a tenth of the learning "
    "rate, clipnorm, logits, a clipped log_var."
)
_BROKEN = """\
log_var = keras.layers.Dense(latent_dim)(h)
loss = -ops.sum(x * ops.log(p) + (1 - x) * ops.log(1 - p), axis=-1)
vae.compile(keras.optimizers.Adam(1e-2))"""
_REPAIRED = """\
log_var = ops.clip(keras.layers.Dense(latent_dim)(h), -20.0, 10.0)
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
loss = pixels * cross_entropy(x, logits)
vae.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0))"""
_SOURCES = ("keras 2134", "keras 12371", "synthcity 331")


def _not_finite(figures: Mapping[str, float]) -> bool:
    return any(
        _LOSS.fullmatch(name.lower()) and not math.isfinite(value)
        for name, value in figures.items()
    )


NAN = (
    Explanation(
        name="loss-nan",
        family="G",
        title="The loss is NaN",
        symptom=Symptom("2/2 - 0s - loss: nan - 180ms/epoch - 90ms/step", "TensorFlow 2.8.4"),
        signs=(
            Sign(r"Batch \d{1,9}: Invalid loss, terminating training"),
            Sign(
                r"(?i: (loss|kl) (value|term)? (is|are|was|becomes|became|turns|turned|goes|went"
                r"|gets|got)? (always|all|into|to|suddenly)? nan (?! o|in batch))"
            ),
        ),
        figures=_not_finite,
        happens="From some batch on every loss is NaN, and from the next step on every weight.",
        why=_CAUSES,
        rule=_RULE,
        repair=_REPAIR,
        broken=_BROKEN,
        repaired=_REPAIRED,
        sources=_SOURCES,
    ),
    Explanation(
        name="nan-in-the-input",
        family="G",
        title="The input of a method contains NaN",
        symptom=Symptom(
            "ValueError: Input X contains NaN.\nKMeans does not accept missing values encoded as "
            "NaN natively.",
            "scikit-learn 1.9.1",
        ),
        signs=(Sign(r"Input (X|y|sample_weight)? contains (NaN|infinity)"),),
        happens=(
            "scikit-learn is given latent codes or images that contain NaN or infinity: codes of a "
            "model whose training has diverged, or data with gaps."
        ),
        why=(
            "If the images are finite and their codes are not, the weights are NaN: the training "
            "went wrong before. If the images are not, no model will mend it."
        ),
        rule="Look for the first thing that is not finite: data, weights, codes, in this order.",
        repair="Check the data; if they are finite, look at the training: its loss was NaN.",
        broken="""\
KMeans(10).fit(encoder.predict(x)[0])""",
        repaired="""\
print(np.isfinite(x).all())
print([np.isfinite(weight).all() for weight in encoder.get_weights()])""",
        sources=("keras 12371",),
    ),
    Explanation(
        name="nan-found-by-a-check",
        family="G",
        title="A check of the backend has met the first NaN",
        symptom=Symptom(
            "RuntimeError: Function 'ExpBackward0' returned nan values in its 0th output.",
            "PyTorch 2.13.0",
        ),
        signs=(
            Sign(r"Function '\w{1,60}Backward0?' returned nan values in its"),
            Sign(r"invalid value \((nan|inf)\) encountered in"),
            Sign(r"Tensor had (NaN|Inf|\+Inf|-Inf)"),
            Sign(r"Detected Infinity or NaN in output \d{1,3} of"),
            Sign(
                r"Expected parameter \w{1,40} \(Tensor of shape .{0,60}? \) of distribution "
                r".{0,340}? but found invalid values"
            ),
        ),
        happens=(
            "Anomaly detection, jax_debug_nans, check_numerics or the arguments of a distribution "
            "stopped the program at the first value that is not finite. The message names the "
            "operation."
        ),
        why=_CAUSES,
        rule=_RULE,
        repair=f"exp: bound log_var. log: use logits. At the first step: the data. {_REPAIR}",
        broken=_BROKEN,
        repaired=_REPAIRED,
        sources=_SOURCES,
    ),
    Explanation(
        name="kelbo-diverged",
        family="G",
        title="kelbo has stopped a training whose loss is not finite",
        symptom=Symptom(
            "Error: The loss became nan in batch 3 of epoch 1. The first term to go was kl: "
            "exp(log_var) or mu^2 overflowed.",
            "kelbo 0.1.0",
        ),
        signs=(Sign(r"The loss became -?(nan|inf) in batch \d{1,9} of epoch \d{1,9}"),),
        happens=(
            "kelbo looks at every batch and stops at the first whose loss is not finite. Its "
            "message names the term that went first and what to do about it. What earlier epochs "
            "have written is kept."
        ),
        why=(
            "kl first: exp(log_var) or mu^2 overflowed. reconstruction first: the decoder's output "
            "overflowed, or a learned variance went to 0. Both at once: the step before made a "
            "weight NaN, or the data are not finite."
        ),
        rule="Lower the learning rate before anything else.",
        repair="A tenth of the learning rate; then clipnorm; then a KL weight that warms up.",
        broken="""\
kelbo train --data mnist --learning-rate 0.1""",
        repaired="""\
kelbo train --data mnist --learning-rate 0.001""",
    ),
)
