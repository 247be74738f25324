"""Family B: no loss, a zero loss, no gradient, a loss that is not a scalar."""

from collections.abc import Mapping

from kelbo.clinic.explain.explanation import Explanation, Sign, Symptom


def _trains_on_zero(figures: Mapping[str, float]) -> bool:
    return figures.get("loss") == 0.0


def _validates_to_zero(figures: Mapping[str, float]) -> bool:
    return figures.get("val_loss") == 0.0 and figures.get("loss", 0.0) != 0.0


LOSS = (
    Explanation(
        name="no-loss",
        family="B",
        title="The model has no loss",
        symptom=Symptom(
            "ValueError: No loss to compute. Provide a `loss` argument in `compile()`.",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"No loss to compute"),
            Sign("No loss found. You may have forgotten to provide a `loss` argument"),
            Sign("The model cannot be compiled because it has no loss to optimize"),
        ),
        happens=(
            "compile got no loss, and no layer had added one when the loss was computed. If your "
            "model has its own train_step, fit works, and the validation or evaluate fails: they "
            "use test_step, which you have not written."
        ),
        generations=(
            ("Keras 2, graph mode; TensorFlow to 2.1", "refused by compile."),
            ("TensorFlow 2.2 to 2.4", "No gradients provided for any variable."),
            ("Keras 2 later", "No loss found, in fit."),
            ("Keras 3", "No loss to compute, in fit; on JAX no error and a loss of 0."),
        ),
        why=(
            "The two terms of the ELBO can come from compile(loss=...), from a layer's add_loss or "
            "from compute_loss. Here they come from none of them, or add_loss was refused or "
            "forgotten."
        ),
        rule="A model has one place where its whole loss is made, and fit and evaluate share it.",
        repair="Write the loss in compute_loss: fit, validation and evaluate all use it.",
        broken="""\
vae = keras.Model(x, decoder(z))
vae.compile("adam")  # and train_step of your own, or nothing""",
        repaired="""\
class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder

    def call(self, x):
        mu, log_var, z = self.encoder(x)
        return {"x": self.decoder(z), "mu": mu, "log_var": log_var}

    def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
        mu, log_var = y_pred["mu"], y_pred["log_var"]
        kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
        return ops.mean(ops.square(y - y_pred["x"])) - 0.5 * ops.mean(kl)

vae = VAE(encoder, decoder)
vae.compile("adam")
vae.fit(x_train, x_train)""",
        recipe="8-compute-loss",
        sources=("keras-io 120", "keras-io 1112", "keras-io 232"),
    ),
    Explanation(
        name="no-gradients",
        family="B",
        title="No weight gets a gradient from the loss",
        symptom=Symptom(
            "ValueError: No gradients provided for any variable: ['dense/kernel:0', "
            "'dense/bias:0', 'mu/kernel:0', 'mu/bias:0', 'log_var/kernel:0', 'log_var/bias:0', "
            "'dense_1/kernel:0', 'dense_1/bias:0'].",
            "TensorFlow 2.4.4",
        ),
        signs=(
            Sign("No gradients provided for any variable"),
            Sign("element 0 of tensors does not require grad and does not have a grad_fn"),
            Sign(
                r"has `None` for gradient\. Please make sure that all of your ops have a gradient"
            ),
        ),
        happens=(
            "The loss does not depend on the weights, or on some of them: it was computed from "
            "constants, from a placeholder outside the step, by NumPy, or through argmax or round."
        ),
        generations=(
            (
                "Keras 2, graph mode",
                "... has `None` for gradient, as soon as one weight is left out: a loss that is "
                "the KL term alone leaves the decoder out.",
            ),
            ("TensorFlow 2.2 to 2.4", "also the message of a model that was given no loss at all."),
            ("Keras 3", "No gradients provided; on PyTorch: element 0 of tensors ..."),
        ),
        why="The path from the loss back to the weights is cut somewhere, or was never there.",
        rule=(
            "The loss is made in the step, from the model's outputs, by differentiable operations, "
            "and has both terms: the reconstruction trains the decoder, the KL term the encoder."
        ),
        repair=(
            "Look at what the loss returns: it must use y_pred, and mu and log_var of this batch."
        ),
        broken="""\
kl = kl_of(mu, log_var)  # once, outside

def loss(x, x_decoded):
    return kl  # does not use x_decoded""",
        repaired="""\
def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
    kl = kl_of(y_pred["mu"], y_pred["log_var"])
    return ops.mean(ops.square(y - y_pred["x"])) + kl""",
        recipe="8-compute-loss",
        sources=("keras 10819", "keras 4508"),
    ),
    Explanation(
        name="part-without-gradient",
        family="B",
        title="A part of the model gets no gradient",
        symptom=Symptom(
            "UserWarning: Gradients do not exist for variables ['dense_1/kernel', 'dense_1/bias'] "
            "when minimizing the loss. If using `model.compile()`, did you forget to provide a "
            "`loss` argument?",
            "Keras 3.15.1",
        ),
        signs=(Sign(r"Gradients do not exist for variables .{0,4000}? when minimizing the loss"),),
        happens=(
            "A warning, not an error: the weights that it names stay as they are. If they are the "
            "decoder's, the loss is the KL term alone. If they are those of log_var, the KL term "
            "is not in the loss, or z does not use log_var."
        ),
        why="The loss does not depend on these weights.",
        rule=(
            "Both terms of the ELBO are in the loss: the reconstruction trains decoder and "
            "encoder, the KL term the encoder."
        ),
        repair="Add the missing term. With add_loss for the KL, compile needs a loss for the rest.",
        broken="""\
# a layer has added the KL term
vae.compile("adam")
vae.fit(x_train)""",
        repaired="""\
vae.compile("adam", loss="binary_crossentropy")
vae.fit(x_train, x_train)""",
        recipe="3-add-loss-kl",
        sources=("keras 10819", "keras 4508"),
    ),
    Explanation(
        name="loss-per-sample",
        family="B",
        title="The loss is a vector, one value for each image",
        symptom=Symptom(
            "RuntimeError: grad can be implicitly created only for scalar outputs",
            "PyTorch 2.13.0",
        ),
        signs=(
            Sign("grad can be implicitly created only for scalar outputs"),
            Sign(r"Gradient only defined for scalar-output functions\. Output had shape"),
            Sign(r"stack expects each tensor to be equal size, but got \[\] at entry 0 and \[\d"),
            Sign(
                r"Shapes must be equal rank, but are 0 and 1 .{0,40}? merging shape \d with other "
                r"shapes\. for '\{\{node (loss\w{0,4}/)? (AddN|packed)\}\} .{0,200}? loss"
            ),
            # If only the beginning was pasted.
            Sign(r"Shapes must be equal rank, but are 0 and 1 (?= \W{0,9} \Z)"),
        ),
        happens="add_loss, or the step, is given the KL term of each sample instead of one number.",
        generations=(
            ("Keras 2, TensorFlow", "Shapes must be equal rank, but are 0 and 1."),
            ("Keras 3.0", "the same on TensorFlow; on PyTorch: stack expects ... equal size."),
            (
                "Keras 3.15",
                "no error: add_loss sums the vector, so the KL term counts batch-size times.",
            ),
        ),
        why=(
            "compile(loss=...) is averaged over the batch for you. What add_loss gets is not, so "
            "it must be a scalar already."
        ),
        rule="Sum over latent dimensions, average over the batch, and add a scalar.",
        repair="Take the mean before add_loss.",
        broken="""\
kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
kl = -0.5 * ops.sum(kl, axis=-1)  # one value for each image
self.add_loss(kl)""",
        repaired="""\
kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
kl = -0.5 * ops.sum(kl, axis=-1)  # one value for each image
self.add_loss(ops.mean(kl))""",
        recipe="6-encoder-layer",
        sources=("keras 19560",),
    ),
    Explanation(
        name="no-target",
        family="B",
        title="fit(x) has no target for the compiled loss",
        symptom=Symptom(
            "ValueError: Target data is missing. Your model was compiled with loss=mse, and "
            "therefore expects target data to be provided in `fit()`.",
            "TensorFlow 2.8.4",
        ),
        signs=(Sign(r"Target data is missing\. Your model (was compiled with|has) loss"),),
        happens="compile got a loss, and fit got the images but not what to compare them with.",
        generations=(
            ("TensorFlow 2.2 to 2.4", "No gradients provided for any variable."),
            ("Keras 2 later", "Target data is missing."),
            ("Keras 3", "None values not supported, or the like, from the backend."),
        ),
        why="A compiled loss is loss(y, y_pred). An autoencoder's y is x itself.",
        rule="With compile(loss=...) fit an autoencoder with fit(x, x).",
        repair="Pass the images twice, in validation_data too.",
        broken="""\
vae.compile("adam", loss="binary_crossentropy")
vae.fit(x_train)""",
        repaired="""\
vae.compile("adam", loss="binary_crossentropy")
vae.fit(x_train, x_train, validation_data=(x_test, x_test))""",
        recipe="3-add-loss-kl",
    ),
    Explanation(
        name="validation-loss-zero",
        family="B",
        title="The validation loss is exactly 0",
        symptom=Symptom(
            "2/2 - 0s - loss: 0.6724 - kl_loss: 0.5635 - val_loss: 0.0000e+00 - val_kl_loss: "
            "0.0000e+00 - 249ms/epoch - 124ms/step",
            "TensorFlow 2.8.4, a train_step without test_step",
        ),
        figures=_validates_to_zero,
        happens=(
            "Training reports a loss and validation reports 0. The model has its own train_step "
            "and no test_step, so nothing updates the metrics in validation."
        ),
        generations=(
            ("Keras 2", "val_loss: 0.0000e+00, and evaluate returns zeros."),
            ("Keras 3", "No loss to compute; on JAX evaluate returns zeros."),
        ),
        why="The default test_step uses the compiled loss, and there is none.",
        rule="Who writes train_step writes test_step; who writes compute_loss needs neither.",
        repair="Add a test_step that computes the same terms without the gradient.",
        broken="""\
class VAE(keras.Model):
    def train_step(self, data): ...""",
        repaired="""\
class VAE(keras.Model):
    def train_step(self, data): ...

    def test_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        mu, log_var, z = self.encoder(x)
        loss, kl = self.losses_of(x, self.decoder(z), mu, log_var)
        self.loss_tracker.update_state(loss)
        self.kl_tracker.update_state(kl)
        return {metric.name: metric.result() for metric in self.metrics}""",
        recipe="5-train-step",
        sources=("keras 14705", "keras-io 232"),
    ),
    Explanation(
        name="loss-zero",
        family="B",
        title="The loss is exactly 0, and nothing is trained",
        symptom=Symptom(
            "2/2 - 1s - 398ms/step - loss: 0.0000e+00",
            "Keras 3.15.1 on JAX 0.10.2, compiled without a loss",
        ),
        figures=_trains_on_zero,
        happens=(
            "Keras had no loss to compute and reported 0: compile got none and no layer added one, "
            "or evaluate met a model that has a train_step but no test_step."
        ),
        generations=(
            ("Keras 2", "evaluate with a train_step of your own and no test_step."),
            (
                "TensorFlow 2.2, 2.3",
                "run_eagerly=True as a cure for a loss that reads from outside.",
            ),
            (
                "Keras 3, JAX",
                "no loss: fit runs and no weight moves. Elsewhere: No loss to compute.",
            ),
        ),
        why="A VAE's loss is never exactly 0. This is the starting value of a running mean.",
        rule="A model has one place where its whole loss is made, and fit and evaluate share it.",
        repair="Write the loss in compute_loss, or pass one to compile.",
        broken="""\
vae.compile("adam")""",
        repaired="""\
class VAE(keras.Model):
    def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
        kl = kl_of(y_pred["mu"], y_pred["log_var"])
        return ops.mean(ops.square(y - y_pred["x"])) + kl""",
        recipe="8-compute-loss",
        sources=("keras 14705", "keras-io 120", "keras-io 232"),
    ),
    Explanation(
        name="keras-too-old-for-add-loss",
        family="B",
        title="This Keras is too old for add_loss or for compile without a loss",
        symptom=Symptom(
            "TypeError: compile() missing 1 required positional argument: 'loss'",
            "Keras 2.0.8 on TensorFlow 1.15.5",
        ),
        signs=(
            Sign(r"'(Model|Sequential)' object has no attribute 'add_loss'"),
            Sign(r"compile\(\) takes at least 3 arguments \(2 given\)"),
            Sign(r"compile\(\) missing 1 required positional argument: 'loss'"),
        ),
        happens=(
            "The script adds its loss with add_loss, and compiles without another one. It was "
            "written for a later Keras than the one installed."
        ),
        generations=(
            ("Keras 1", "add_loss does not work on a model; compile needs a loss."),
            ("Keras 2.0", "add_loss works; compile wants loss=None to be written."),
            ("Keras 2 later", "both work."),
            ("Keras 3", "a model refuses add_loss; a layer's call may use it."),
        ),
        why="A loss of compile was once the only loss of a model.",
        rule="Write the KL term in a layer's call or in compute_loss, which Keras 3 keeps.",
        repair=(
            "Install the Keras that the script was written for, and write loss=None in compile. "
            "For Keras 3, let a layer add the loss."
        ),
        broken="""\
vae.add_loss(vae_loss)
vae.compile(optimizer="rmsprop")""",
        repaired="""\
class KLTerm(keras.layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
        self.add_loss(-0.5 * ops.mean(kl))
        return mu, log_var

mu, log_var = KLTerm()([mu, log_var])  # then z = Sampling()([mu, log_var])
vae.compile("rmsprop", loss="mse")""",
        recipe="4-add-loss-total",
        sources=("llSourcell/autoencoder_explained 2",),
    ),
    Explanation(
        name="output-without-compiled-loss",
        family="B",
        title="An output has no loss in compile: harmless for a loss layer",
        symptom=Symptom(
            'UserWarning: Output "custom_variational_layer_1" missing from loss dictionary. We '
            "assume this was done on purpose, and we will not be expecting any data to be passed "
            'to "custom_variational_layer_1" during training.',
            "Keras 2.0.8 on TensorFlow 1.15.5",
        ),
        signs=(Sign(r"Output .{1,80}? missing from loss dictionary"),),
        happens=(
            "compile(loss=None) leaves an output without a loss. A warning, not an error: in the "
            "loss layer of the books the layer itself has added the whole loss."
        ),
        generations=(
            ("Keras 2", "warns, and trains on what layers added."),
            ("Keras 3", "no warning; it trains on what layers added."),
        ),
        why="Keras cannot know that add_loss is the whole loss.",
        rule="If a layer adds both terms, compile needs no loss, and fit no target.",
        repair="Nothing is wrong if the layer adds both terms. If not, give compile a loss.",
        broken="""\
# no layer adds the reconstruction
vae.compile("rmsprop", loss=None)
vae.fit(x_train)""",
        repaired="""\
vae.compile("rmsprop", loss="mse")
vae.fit(x_train, x_train)""",
        recipe="2-loss-layer",
        sources=("keras 6950",),
    ),
    Explanation(
        name="list-wrapper-unhashable",
        family="B",
        title="The model's list of losses was replaced",
        symptom=Symptom("TypeError: unhashable type: 'ListWrapper'", "tf-keras 2.21.0"),
        signs=(Sign(r"unhashable type: '_?ListWrapper'"),),
        happens=(
            "The script sets model._losses = [] before model.add_loss, as code for Keras 2.0 did; "
            "or it uses a list that is an attribute of a model as a key."
        ),
        generations=(
            ("Keras 2.0 to 2.3", "_losses was an ordinary list."),
            ("tf.keras", "a list in an attribute becomes a ListWrapper, which is no key."),
            ("Keras 3", "a model refuses add_loss; a layer's call may use it."),
        ),
        why="tf.keras wraps the lists that are attributes of a model, to follow what they hold.",
        rule="Leave a model's underscored attributes alone; make a tuple of a list that is a key.",
        repair="Leave out model._losses = []. For Keras 3, let a layer's call add the loss.",
        broken="""\
vae._losses = []
vae.add_loss(kl)""",
        repaired="""\
class KLTerm(keras.layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
        self.add_loss(-0.5 * ops.mean(kl))
        return mu, log_var

mu, log_var = KLTerm()([mu, log_var])  # then z = Sampling()([mu, log_var])
vae.compile("adam", loss="mse")""",
        recipe="4-add-loss-total",
        sources=("tensorflow 34962", "matterport/Mask_RCNN 2998"),
    ),
    Explanation(
        name="loss-not-interpreted",
        family="B",
        title="compile got something that is no loss function",
        symptom=Symptom(
            "ValueError: Could not interpret loss identifier: <function vae_loss at "
            "0x7f44db964b80>",
            "Keras 3.15.1",
        ),
        signs=(Sign(r"Could not interpret loss (function)? identifier"),),
        happens=(
            "loss= is neither a function, a loss object nor the name of a loss of Keras. If it "
            "looks like <function vae_loss at 0x...>, it is the text of a function: str(vae_loss), "
            "or what a configuration or a log has kept of it. A tuple with a function is none "
            "either, nor is a tensor."
        ),
        generations=(
            ("Keras 2", "Could not interpret loss function identifier."),
            ("Keras 3", "Could not interpret loss identifier."),
        ),
        why="Keras looks strings up among its own losses, and calls everything else.",
        rule="Pass the function itself, without calling it and without quotation marks.",
        repair="Write loss=vae_loss. It may use no more than its two arguments.",
        broken="""\
settings = {"loss": str(vae_loss)}
vae.compile("adam", loss=settings["loss"])""",
        repaired="""\
def vae_loss(x, x_decoded):
    return ops.mean(ops.square(x - x_decoded), axis=-1)

vae.compile("adam", loss=vae_loss)""",
        recipe="1-loss-closure",
    ),
)
