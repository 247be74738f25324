"""Family D: removed names."""

from kelbo.clinic.explain.explanation import Explanation, Sign, Symptom
from kelbo.clinic.explain.tensorflow_1 import gone_names

# `tensorflow`, and `tensorflow._api.v2.train`, but not `tensorflow.keras`.
_TENSORFLOW = r"tensorflow(\.(?!keras|python)\w{1,30}){0,4}"
_OF_VERSION_1 = f"({'|'.join(gone_names())})"

REMOVED = (
    Explanation(
        name="add-metric-gone",
        family="D",
        title="add_metric is gone",
        symptom=Symptom(
            "NotImplementedError: Layer `add_metric()` method is deprecated. Add your metric in "
            "`Model.compile(metrics=[...])`, or create metric trackers in init() or build() when "
            "subclassing the layer or model, then call `metric.update_state()` whenever necessary.",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"Layer `add_metric\(\)` method is deprecated"),
            Sign(r"add_metric\(\) got an unexpected keyword argument"),
            Sign(r"object has no attribute 'add_metric'"),
            Sign(r"object has no attribute 'metrics_tensors'"),
        ),
        happens="A layer or a model reports its KL term with add_metric, as books of 2020 do.",
        generations=(
            ("Keras 2.0 to 2.2", "model.metrics_tensors.append(kl), gone since."),
            ("Keras 2", "add_metric works."),
            ("Keras 3.0", "TypeError: unexpected keyword argument."),
            ("Keras 3 later", "NotImplementedError: deprecated."),
        ),
        why="Keras 3 keeps metrics as objects with a state, on every backend.",
        rule="A metric is made in the model's __init__ and updated in compute_loss.",
        repair=(
            "Return mu and log_var from the model's call, and keep a Mean where the loss is made. "
            "A metric that a layer updates in its call fails on JAX."
        ),
        broken="""\
# in a layer
def call(self, inputs):
    ...
    self.add_metric(kl, name="kl_loss", aggregation="mean")""",
        repaired="""\
# in the model
def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.kl_tracker = keras.metrics.Mean(name="kl_loss")

def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
    kl = kl_of(y_pred["mu"], y_pred["log_var"])
    self.kl_tracker.update_state(kl)
    return ops.mean(ops.square(y - y_pred["x"])) + kl""",
        recipe="2-loss-layer",
        sources=("keras 20391", "keras 19804", "tensorflow 62826", "tensorflow 110884"),
    ),
    Explanation(
        name="backend-function-gone",
        family="D",
        title="The functions of keras.backend (K.mean, K.exp, ...) are gone",
        symptom=Symptom(
            "AttributeError: module 'keras.backend' has no attribute 'mean'",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"module '[\w.]{0,60}keras[\w.]{0,40}\.backend' has no attribute"),
            Sign(r"cannot import name '\w{1,60}' from '[\w.]{0,60}keras[\w.]{0,20}\.backend'"),
        ),
        happens="The script computes with `from keras import backend as K`.",
        generations=(
            ("Keras 2", "K has every operation; get_session is gone since TensorFlow 2."),
            ("Keras 3", "keras.backend has none; keras.ops and keras.random have them."),
            ("tf.keras.backend with Keras 3", "keeps most, for TensorFlow alone."),
        ),
        why="Keras 3 moved the operations to keras.ops, which run on three backends.",
        rule="Compute with keras.ops, draw with keras.random.",
        repair=(
            "K.mean, K.sum, K.exp, K.square, K.shape become those of keras.ops; K.random_normal "
            "becomes keras.random.normal; K.int_shape(x) becomes x.shape. Do it inside a layer's "
            "call or compute_loss: a loss that reads mu from outside fails after this step too."
        ),
        broken="""\
from keras import backend as K
kl = -0.5 * K.mean(1 + log_var - K.square(mu) - K.exp(log_var))""",
        repaired="""\
from keras import ops
kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))""",
        recipe="1-loss-closure",
        sources=("keras 19804",),
    ),
    Explanation(
        name="loss-function-renamed",
        family="D",
        title="keras.losses.mse and the like have other names",
        symptom=Symptom(
            "AttributeError: module 'keras.losses' has no attribute 'mse'",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"module '[\w.]{0,60}keras[\w.]{0,20}\.losses' has no attribute"),
            Sign(r"cannot import name '\w{1,60}' from '[\w.]{0,60}keras[\w.]{0,20}\.losses'"),
            Sign(r"cannot import name 'objectives' from 'keras'"),
        ),
        happens="The script takes a loss function by a short or old name.",
        generations=(
            ("Keras 1", "keras.objectives."),
            ("Keras 2", "keras.losses.mse, mae, kld."),
            ("Keras 3", "only the long names: mean_squared_error, kl_divergence."),
        ),
        why="Keras 3 dropped the aliases. The strings of compile(loss='mse') still work.",
        rule="Import losses by their long names.",
        repair="Use the long name. It averages over the last axis, not over the whole image.",
        broken="""\
reconstruction = keras.losses.mse(x, x_decoded)""",
        repaired="""\
reconstruction = keras.losses.mean_squared_error(x, x_decoded)""",
        recipe="4-add-loss-total",
    ),
    Explanation(
        name="tensorflow-1-name-gone",
        family="D",
        title="A name of TensorFlow 1 is gone",
        symptom=Symptom(
            "AttributeError: module 'tensorflow' has no attribute 'random_normal'",
            "TensorFlow 2.21.0",
        ),
        signs=(
            Sign(rf"module '{_TENSORFLOW}' has no attribute '{_OF_VERSION_1}"),
            Sign(rf"cannot import name '{_OF_VERSION_1}' from '{_TENSORFLOW}'"),
            Sign(r"No module named 'tensorflow\.(contrib|examples)"),
        ),
        happens="The script takes a name of TensorFlow 1 from TensorFlow 2.",
        generations=(
            ("TensorFlow 1", "has it."),
            ("TensorFlow 2", "AttributeError, ImportError or ModuleNotFoundError."),
        ),
        why="TensorFlow 2 moved its functions into modules, and has no sessions and no tf.contrib.",
        rule="Compute with keras.ops and draw with keras.random: they outlive a backend's names.",
        repair=(
            "tf.random_normal is tf.random.normal, tf.log is tf.math.log, tf.set_random_seed is "
            "tf.random.set_seed. kelbo doctor names the others in a script, and kelbo port renames "
            "them. Sessions and placeholders have no successor: write a model of Keras."
        ),
        broken="""\
noise = tf.random_normal(tf.shape(mu))
z = mu + tf.exp(0.5 * log_var) * noise""",
        repaired="""\
# in a layer's call
noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
z = mu + ops.exp(0.5 * log_var) * noise""",
        recipe="6-encoder-layer",
    ),
    Explanation(
        name="folk-cure-gone",
        family="D",
        title="experimental_run_tf_function is gone",
        symptom=Symptom(
            "TypeError: Trainer.compile() got an unexpected keyword argument "
            "'experimental_run_tf_function'",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(
                r"(unexpected keyword argument|Invalid keyword argument) .{0,60}? "
                "experimental_run_tf_function"
            ),
        ),
        happens=(
            "compile(experimental_run_tf_function=False) was the cure of 2019 for a loss that "
            "reads symbolic tensors from outside."
        ),
        generations=(
            ("TensorFlow 2.0 and 2.1", "falls back to graph mode, where the closure works."),
            ("TensorFlow 2.2 on", "ignored: the symbolic tensor is refused again."),
            ("Keras 3", "TypeError."),
        ),
        why="The option belonged to an execution path that no longer exists.",
        rule=(
            "Whatever a loss needs must arrive as an argument: a layer's input, a model's output, "
            "or a value computed inside the step."
        ),
        repair="Remove the option and give the loss what it needs.",
        broken="""\
vae.compile("adam", loss=vae_loss, experimental_run_tf_function=False)""",
        repaired="""\
mu, log_var = KLTerm()([mu, log_var])  # a layer whose call adds the KL term
vae.compile("adam", loss="mse")""",
        recipe="1-loss-closure",
        sources=("tensorflow 40336",),
    ),
)
