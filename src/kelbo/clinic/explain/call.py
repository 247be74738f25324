"""Family C: call, validation and predict."""

from kelbo.clinic.explain.explanation import Explanation, Sign, Symptom

CALL = (
    Explanation(
        name="model-without-call",
        family="C",
        title="The model has a train_step but no call",
        symptom=Symptom(
            "NotImplementedError: Exception encountered when calling NoCall.call().\n\n\x1b[1m"
            "Model NoCall does not have a `call()` method implemented.\x1b[0m",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"does not have a `call\(\)` method implemented"),
            Sign(r"Unimplemented `(tf|tf_keras|keras)\.(keras\.)?Model\.call\(\)`"),
            Sign("When subclassing the `Model` class, you should implement a `call` method"),
            Sign(
                "cannot be saved either because the input shape is not available or because the "
                "forward pass of the model is not defined"
            ),
        ),
        happens=(
            "fit works, because train_step calls encoder and decoder itself. Validation, evaluate, "
            "predict and save call the model, and the model cannot be called."
        ),
        generations=(
            ("Keras 2 and Keras 3 on TensorFlow", "fit works; validation, predict or save fail."),
            ("Keras 3, JAX and PyTorch", "fit fails: Unable to automatically build the model."),
        ),
        why="keras.Model leaves call to its subclass, and everything but train_step needs it.",
        rule="A keras.Model has a call that maps an input to what predict should return.",
        repair="Write call. For validation write test_step too, or put the loss in compute_loss.",
        broken="""\
class VAE(keras.Model):
    def train_step(self, data): ...""",
        repaired="""\
class VAE(keras.Model):
    def call(self, x):
        mu, log_var, z = self.encoder(x)
        return self.decoder(z)

    def train_step(self, data): ...
    def test_step(self, data): ...""",
        recipe="5-train-step",
        sources=(
            "keras-io 38",
            "keras-io 114",
            "keras-io 420",
            "keras-io 509",
            "keras 15361",
        ),
    ),
    Explanation(
        name="decoder-fed-three-tensors",
        family="C",
        title="A model with one input gets the encoder's three outputs",
        symptom=Symptom(
            'ValueError: Layer "decoder" expects 1 input(s), but it received 3 input tensors.',
            "TensorFlow 2.8.4",
        ),
        signs=(
            Sign(
                r"Layer [\w./-]{1,80} expects 1 (named)? input\(s\) .{0,200}? but it received "
                r"3 input tensors"
            ),
            Sign(r"Layer [\w./-]{1,80} expected 1 input\(s\)\. Received 3 instead"),
            Sign(
                r"list of Numpy arrays that you are passing to your model is not the size the model"
                r" expected\. Expected to see 1 array\(s\) .{0,120}? list of 3 arrays"
            ),
            Sign(
                r"structure of inputs doesn't match the expected structure\. Expected: \w{1,60} "
                r"Received: inputs=\[ (Tensor\(shape=\([\d,]{1,40}\)\) ,?){3} \]"
            ),
        ),
        happens="decoder(encoder(x)): the encoder returns mu, log_var and z; the decoder takes z.",
        generations=(
            ("TensorFlow to 2.3", "predict takes the first of the three, mu, silently."),
            ("Keras 3, JAX", "predict takes the first too, with a warning."),
            ("elsewhere", "ValueError."),
        ),
        why="A list of three outputs is three inputs for the next model.",
        rule="Say which of the encoder's outputs you pass on.",
        repair="Unpack: z for a draw, mu for the reconstruction without noise.",
        broken="""\
decoder.predict(encoder.predict(x))""",
        repaired="""\
mu, log_var, z = encoder.predict(x)
decoder.predict(mu)""",
        recipe="7-tensor-transfer",
        sources=("keras-applications 137",),
    ),
    Explanation(
        name="train-step-of-another-backend",
        family="C",
        title="train_step is written for TensorFlow and Keras runs on JAX",
        symptom=Symptom(
            "TypeError: VAE.train_step() takes 2 positional arguments but 3 were given",
            "Keras 3.15.1 on JAX 0.10.2",
        ),
        signs=(
            Sign(
                r"(train|test)_step\(\) takes 2 positional arguments but 3 were given"
                r"|(train|test)_step\(\) missing 1 required positional argument"
            ),
        ),
        happens=(
            "The model overrides train_step(self, data) with a GradientTape. Each backend has a "
            "train_step of its own kind; JAX calls train_step(state, data)."
        ),
        why=(
            "train_step contains the backend's way to differentiate, so there is no train_step for "
            "all backends. compute_loss contains only the loss."
        ),
        rule="Override compute_loss with keras.ops: one code for TensorFlow, JAX and PyTorch.",
        repair="Move the loss from train_step to compute_loss; leave the step to Keras.",
        broken="""\
def train_step(self, data):
    with tf.GradientTape() as tape:
        loss = self.loss_of(data)
    gradients = tape.gradient(loss, self.trainable_weights)
    ...""",
        repaired="""\
def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
    kl = kl_of(y_pred["mu"], y_pred["log_var"])
    return ops.mean(ops.square(y - y_pred["x"])) + kl""",
        recipe="8-compute-loss",
    ),
    Explanation(
        name="metric-not-available",
        family="C",
        title="A callback waits for a figure that validation does not report",
        symptom=Symptom(
            "UserWarning: Early stopping conditioned on metric `val_loss` which is not available. "
            "Available metrics are: kl_loss,loss",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"Early stopping conditioned on metric `val_\w{1,60}` which is not available"),
            Sign(r"Can save best model only with val_\w{1,60} available, skipping"),
        ),
        happens=(
            "EarlyStopping or ModelCheckpoint monitors a val_ figure, and the epoch ends without "
            "one, so that the callback does nothing."
        ),
        why=(
            "fit got no validation data, or the model's test_step returns other names. The warning "
            "lists what there is."
        ),
        rule="What a callback monitors is a name that test_step returns, with val_ before it.",
        repair="Give fit validation data, and let test_step report the name.",
        broken="""\
vae.fit(x_train, callbacks=[keras.callbacks.EarlyStopping("val_loss")])""",
        repaired="""\
stop = keras.callbacks.EarlyStopping("val_loss", mode="min")
data = (x_test, x_test)
vae.fit(x_train, x_train, validation_data=data, callbacks=[stop])""",
        recipe="5-train-step",
        sources=("keras 14705",),
    ),
    Explanation(
        name="input-without-data",
        family="C",
        title="keras and tf.keras are mixed, or an input of the model got no data",
        symptom=Symptom(
            'AssertionError: Could not compute output Tensor("add_2/Identity:0", shape=(None, 4), '
            "dtype=float32)",
            "TensorFlow 2.1.4",
        ),
        signs=(
            Sign(r"Could not compute output (Kera)?(s)?Tensor"),
            Sign(r"'Node' object has no attribute 'output_masks'"),
            Sign(r"'tuple' object has no attribute 'layer'"),
        ),
        happens=(
            "A layer of keras is called on a tensor of tensorflow.keras, or the other way round; "
            "or the model has an input, such as Input(tensor=noise), that fit does not feed."
        ),
        generations=(
            (
                "Keras 2.2 and 2.3 with TensorFlow 1.15 and 2.1",
                "AttributeError where the layer is called; AssertionError where the model is.",
            ),
            ("Keras 3", "keras and tensorflow.keras are one; Input(tensor=...) is gone."),
        ),
        why="Keras finds the way from the outputs to the inputs by what each layer call has noted.",
        rule="Import everything from one Keras, and draw noise in a layer's call.",
        repair="Import from keras alone, and let a sampling layer draw the noise.",
        broken="""\
from keras import backend as K
from tensorflow.keras.layers import Input
noise = Input(tensor=K.random_normal((K.shape(x)[0], latent_dim)))""",
        repaired="""\
class Sampling(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        mu, log_var = inputs
        noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
        return mu + ops.exp(0.5 * log_var) * noise""",
        recipe="6-encoder-layer",
        sources=("keras 14197", "tensorflow 34912"),
    ),
    Explanation(
        name="one-optimizer-two-sets",
        family="C",
        title="One optimizer is given two sets of variables",
        symptom=Symptom(
            "ValueError: Unknown variable: <Variable path=dense_2/kernel, shape=(4, 2), "
            "dtype=float32>. This optimizer can only be called for the variables it was originally "
            "built with.",
            "Keras 3.15.1 on TensorFlow 2.21.0",
        ),
        signs=(
            Sign(r"This optimizer can only be called for the variables it was originally"),
            Sign(r"Unknown variable: < (Keras)? Variable"),
            Sign(r"The optimizer cannot recognize variable"),
        ),
        happens=(
            "A step of its own applies one optimizer to the VAE's variables and to those of "
            "another network, such as a critic, or to the encoder's and the decoder's in turn."
        ),
        generations=(
            ("Keras 2 before 2.11", "the optimizer makes what it keeps as it meets variables."),
            ("Keras 2.11 and later", "KeyError: The optimizer cannot recognize variable."),
            ("Keras 3", "ValueError: Unknown variable."),
        ),
        why="At its first use an optimizer makes its moments for the variables that it is given.",
        rule="Each set of variables that is trained by itself has an optimizer of its own.",
        repair=(
            "Make a second optimizer. Or build the one with all variables before the first step."
        ),
        broken="""\
optimizer.apply_gradients(zip(g_vae, vae_variables))
optimizer.apply_gradients(zip(g_critic, critic_variables))""",
        repaired="""\
optimizer = keras.optimizers.Adam(1e-4)
critic_optimizer = keras.optimizers.Adam(1e-4)
# in the step
optimizer.apply_gradients(zip(g_vae, vae_variables))
critic_optimizer.apply_gradients(zip(g_critic, critic_variables))""",
        recipe="5-train-step",
    ),
)
