"""Family A: the KL term meets a symbolic tensor, or one from another pass."""

from kelbo.clinic.explain.explanation import Explanation, Sign, Symptom

ARGUMENTS = (
    "Whatever a loss needs must arrive as an argument: a layer's input, a model's output, or a "
    "value computed inside the step."
)

# A placeholder where a number is needed, in the words of every version and backend.
_CANNOT_BE_USED = r"A KerasTensor cannot be used as input to a \w{2,12} function"
_NO_NUMBER = r"A KerasTensor is symbolic: it's a placeholder for a shape an"
_NOT_A_TORCH_TENSOR = r"argument '\w{1,20}' \(position \d\) must be Tensor, not KerasTensor"
_JAX_ARRAY = r"Triggering __jax_array__\(\) during abstractification is no longer supported"
_TF24 = "Cannot convert a symbolic Keras input/output to a numpy array"
_ADD_LOSS_REFUSED = (
    r"`add_loss\(\)` can only be called from inside `build\(\)` or `call\(\)`, on a tensor input\. "
    "Received invalid value: <KerasTensor"
)
# The same, if only the beginning was pasted.
_ADD_LOSS_CUT = (
    r"`add_loss\(\)` can only be called from inside `build\(\)` or `call\(\)`, on a tensor input "
    r"(?= \W{0,9} \Z)"
)

_TRAINING = r"\.fit\(|train_on_batch\(|in train_step|in compute_loss|train_function|compiled_loss"
# Keras says the same of its own models, which are not to blame.
_LAYER = r"Exception encountered when calling (?!Functional|Sequential) \w{1,80}\.call\(\)"
# On a model, or from outside a layer; a layer's own call says self.
_ADD_LOSS = r"(?<! self) \.add_loss\( | , in add_loss"

SYMBOLIC = (
    Explanation(
        name="loss-closure",
        family="A",
        title="The loss reads a symbolic tensor from outside",
        symptom=Symptom(
            "TypeError: You are passing KerasTensor(type_spec=TensorSpec(shape=(), "
            "dtype=tf.float32, name=None), name='Placeholder:0', description=\"created by layer "
            "'tf.cast_4'\"), an intermediate Keras symbolic input/output, to a TF API that does "
            "not allow registering custom dispatchers, such as `tf.cond`, `tf.function`, gradient "
            "tapes, or `tf.map_fn`.",
            "TensorFlow 2.8.4",
        ),
        signs=(
            Sign("You are passing KerasTensor"),
            Sign("'KerasTensor' object has no attribute '_id'"),
            Sign(r"Failed to convert elements of \(None,\) to Tensor"),
            Sign("Inputs to eager execution function cannot be Keras symbolic tensors"),
            Sign("_SymbolicException"),
            Sign(r"Tensors are unhashable\. .{0,3} KerasTensor \("),
            Sign(_TF24, inside=_TRAINING),
            Sign(_CANNOT_BE_USED, inside=_TRAINING),
            Sign(_NO_NUMBER, inside=_TRAINING),
            Sign(_NOT_A_TORCH_TENSOR, inside=_TRAINING),
            Sign(_JAX_ARRAY, inside=_TRAINING),
            Sign(_ADD_LOSS_REFUSED, inside=_TRAINING),
            Sign("Could not build a TypeSpec for .{0,200}? KerasTensor"),
        ),
        happens=(
            "A function that runs in the training step, most often loss(y_true, y_pred), uses mu "
            "and log_var of the encoder, which it does not get as arguments but finds outside."
        ),
        generations=(
            ("Keras 2, graph mode", "works, because both were nodes of one graph."),
            ("Keras 2, eager", "TypeError, or _SymbolicException before TensorFlow 2.4."),
            ("Keras 3", "ValueError; on TensorFlow with keras.ops TypeError."),
        ),
        why=(
            "mu and log_var are placeholders. They describe the functional model and hold no "
            "numbers. The step works on a batch, and the placeholder knows nothing of it."
        ),
        rule=ARGUMENTS,
        repair=(
            "Give mu and log_var to a layer, and let the layer add the KL term. This runs on "
            "Keras 2 and Keras 3. Do not turn eager execution off instead: that way ends with "
            "Keras 3."
        ),
        broken="""\
def vae_loss(x, x_decoded):
    kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
    return ops.mean(ops.square(x - x_decoded)) + kl  # mu: from outside

vae.compile("adam", loss=vae_loss)""",
        repaired="""\
class KLTerm(keras.layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
        self.add_loss(-0.5 * ops.mean(kl))
        return mu, log_var

mu, log_var = KLTerm()([mu, log_var])  # then z = Sampling()([mu, log_var])
vae.compile("adam", loss="mse")  # tf.* in place of ops.* on Keras 2""",
        recipe="1-loss-closure",
        sources=("rstudio/keras3 920", "rstudio/keras3 1058", "tensorflow 40336"),
    ),
    Explanation(
        name="layer-closure",
        family="A",
        title="A layer's call reads a symbolic tensor from outside",
        symptom=Symptom(
            "ValueError: Exception encountered when calling Loss.call().\n\n\x1b[1mCould not "
            "automatically infer the output shape / dtype of 'loss' (of type Loss). Either the "
            "`Loss.call()` method is incorrect, or you need to implement the "
            "`Loss.compute_output_spec() / compute_output_shape()` method. Error encountered:\n\n"
            "Tried to convert 'x' to a tensor and failed. Error: A KerasTensor cannot be used as "
            "input to a TensorFlow function. A KerasTensor is a symbolic placeholder for a shape "
            "and dtype,",
            "Keras 3.15.1 on TensorFlow 2.21.0",
        ),
        signs=(
            Sign(_CANNOT_BE_USED, inside=_LAYER),
            Sign(_NO_NUMBER, inside=_LAYER),
            Sign(_NOT_A_TORCH_TENSOR, inside=_LAYER),
            Sign(_ADD_LOSS_REFUSED, inside=_LAYER),
        ),
        happens=(
            "The call method of a layer computes a loss from mu and log_var of the model around "
            "it. They are not among the layer's inputs."
        ),
        generations=(
            ("Keras 2, graph mode", "works, because both were nodes of one graph."),
            ("Keras 2, eager", "TypeError: You are passing KerasTensor ..."),
            ("Keras 3", "fails while the model is built."),
        ),
        why=(
            "call runs anew for every batch, with that batch's tensors in its inputs. What it "
            "finds outside is the placeholder from the time when the model was built."
        ),
        rule=ARGUMENTS,
        repair="Pass every tensor that call uses to the layer when you call it.",
        broken="""\
class VAELoss(keras.layers.Layer):
    def call(self, inputs):
        x, x_decoded = inputs
        self.add_loss(reconstruction(x, x_decoded) + kl(mu, log_var))
        return x_decoded

y = VAELoss()([x, x_decoded])""",
        repaired="""\
class VAELoss(keras.layers.Layer):
    def call(self, inputs):
        x, x_decoded, mu, log_var = inputs
        self.add_loss(reconstruction(x, x_decoded) + kl(mu, log_var))
        return x_decoded

y = VAELoss()([x, x_decoded, mu, log_var])""",
        recipe="2-loss-layer",
        sources=("tensorflow 40336",),
    ),
    Explanation(
        name="add-loss-on-functional-model",
        family="A",
        title="Keras 3 has no add_loss on a functional model",
        symptom=Symptom(
            'File "keras/src/models/functional.py", line 392, in add_loss\n'
            "    raise NotImplementedError\nNotImplementedError",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"NotImplementedError (?!:)", inside=_ADD_LOSS),
            Sign(_ADD_LOSS_REFUSED),
            Sign(_ADD_LOSS_CUT),
            Sign(_CANNOT_BE_USED, inside=_ADD_LOSS),
        ),
        happens=(
            "model.add_loss(...), or add_loss of a layer that is called from outside the layer, "
            "gets a loss that is computed from the tensors of the functional model."
        ),
        generations=(
            ("Keras 2", "works: the expression becomes part of the model."),
            ("Keras 3", "a bare NotImplementedError; or a ValueError if tf.* or K.* computes it."),
        ),
        why=(
            "Keras 3 stores a functional model as layers from inputs to outputs. A loss beside "
            "them has no place there. Inside a layer's call, add_loss still exists."
        ),
        rule=ARGUMENTS,
        repair="Move the expression into the call of a layer that gets the tensors as inputs.",
        broken="""\
kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
vae.add_loss(-0.5 * ops.mean(kl))
vae.compile("adam", loss="mse")""",
        repaired="""\
class KLTerm(keras.layers.Layer):
    def call(self, inputs):
        mu, log_var = inputs
        kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
        self.add_loss(-0.5 * ops.mean(kl))
        return mu, log_var

mu, log_var = KLTerm()([mu, log_var])  # then z = Sampling()([mu, log_var])
vae.compile("adam", loss="mse")""",
        recipe="3-add-loss-kl",
        sources=("rstudio/keras3 1058",),
    ),
    Explanation(
        name="backend-function-on-symbolic-tensor",
        family="A",
        title="A function of the backend gets a symbolic tensor",
        symptom=Symptom(
            "ValueError: A KerasTensor cannot be used as input to a TensorFlow function. A "
            "KerasTensor is a symbolic placeholder for a shape and dtype, used when constructing "
            "Keras Functional models or Keras Functions. You can only use it as input to a Keras "
            "layer or a Keras operation (from the namespaces `keras.layers` and `keras.ops`).",
            "Keras 3.15.1 on TensorFlow 2.21.0",
        ),
        signs=(
            Sign(_CANNOT_BE_USED),
            Sign(_NOT_A_TORCH_TENSOR),
            Sign(_JAX_ARRAY, inside=r"/keras/|KerasTensor|keras\.Input"),
            Sign(r"Shapes must be 1D sequences of concrete values of integer type, got \(None,"),
        ),
        happens=(
            "tf.*, K.*, jnp.* or torch.* is called on a tensor of a functional model. Either where "
            "the model is built, as in a sampling formula or a KL term, or in the training step, "
            "by a loss that reads mu and log_var from outside. keras.random outside a layer fails "
            "likewise: the batch size is still None."
        ),
        generations=(
            ("Keras 2", "wraps most tf.* calls in a layer of their own, silently."),
            ("Keras 3", "ValueError: only layers and keras.ops take such a tensor."),
        ),
        why=(
            "The tensor is a placeholder: a shape and a dtype, no numbers. Keras 3 does not teach "
            "TensorFlow, JAX or PyTorch what to do with one."
        ),
        rule=(
            "Outside a layer's call, use layers and keras.ops on the tensors of a functional "
            f"model and nothing else. {ARGUMENTS}"
        ),
        repair=(
            "Put the formula into the call of a layer. If it stands in a loss function, see "
            "recipe 1-loss-closure: give the loss what it needs."
        ),
        broken="""\
epsilon = tf.random.normal(tf.shape(mu))
z = mu + tf.exp(0.5 * log_var) * epsilon""",
        repaired="""\
class Sampling(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs):
        mu, log_var = inputs
        noise = keras.random.normal(
            ops.shape(mu), dtype=mu.dtype, seed=self.seed_generator
        )
        return mu + ops.exp(0.5 * log_var) * noise

z = Sampling()([mu, log_var])""",
        recipe="1-loss-closure",
        sources=("rstudio/keras3 1058", "probability 911"),
    ),
    Explanation(
        name="number-of-symbolic-tensor",
        family="A",
        title="Python or NumPy asks a symbolic tensor for its value",
        symptom=Symptom(
            "ValueError: A KerasTensor is symbolic: it's a placeholder for a shape an a dtype. It "
            "doesn't have any actual numerical value. You cannot convert it to a NumPy array.",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(_NO_NUMBER),
            Sign(_TF24),
            Sign("A symbolic KerasTensor cannot be used as a boolean"),
            Sign("Iterating over a symbolic KerasTensor is not supported"),
            Sign(r"Keras symbolic inputs/outputs do not implement `__len__`"),
            Sign("'KerasTensor' object has no attribute 'numpy'"),
            Sign(r"float\(\) argument must be a string or a .{0,10} number, not 'KerasTensor'"),
            # For an LSTM it is a clash of NumPy 1.20 with an old TensorFlow: strided_slice.
            Sign(r"Cannot convert a symbolic Tensor \( (?! .{0,80}? strided_slice)"),
        ),
        happens=(
            "A tensor of a functional model goes into np.*, float(), an if, a for loop or "
            ".numpy(). On PyTorch, and on TensorFlow 2.4, a loss that reads mu and log_var from "
            "outside ends here too."
        ),
        why=(
            "The tensor is a placeholder: a shape and a dtype. There are numbers only when the "
            "model is called on data."
        ),
        rule=(
            "On the tensors of a functional model use layers and keras.ops; get numbers from "
            f"predict. {ARGUMENTS}"
        ),
        repair=(
            "np.exp becomes keras.ops.exp (tf.exp on Keras 2) inside a layer; to see values, call "
            "predict on data."
        ),
        broken="""\
mu, log_var, z = encoder(x)  # x = keras.Input(...)
print(np.exp(log_var))""",
        repaired="""\
mu, log_var, z = encoder.predict(images)
print(np.exp(log_var))""",
        recipe="1-loss-closure",
        sources=("tensorflow 40336",),
    ),
    Explanation(
        name="tensor-out-of-scope",
        family="A",
        title="A tensor kept in an attribute is used after its pass",
        symptom=Symptom(
            "TypeError: <tf.Tensor 'vae/dense_1/BiasAdd:0' shape=(8, 2) dtype=float32> is out of "
            "scope and cannot be used here. Use return values, explicit Python locals or "
            "TensorFlow collections to access it.",
            "TensorFlow 2.8.4",
        ),
        signs=(
            Sign(r"Tensor .{0,200}? is out of scope and cannot be used here"),
            Sign(r"The tensor .{0,300}? cannot be accessed (here|from here)"),
            Sign("InaccessibleTensorError"),
            Sign("An op outside of the function building code is being passed a 'Graph' tensor"),
            Sign(r"Encountered an unexpected tracer\. A function transformed by JAX had a side"),
            Sign("UnexpectedTracerError"),
        ),
        happens=(
            "call stores a tensor, as in self.mu = mu or self.kl = kl, and other code reads it "
            "later: a loss, a callback, a print after fit."
        ),
        generations=(
            ("Keras 2, eager", "out of scope; before 2.5: a 'Graph' tensor outside its function."),
            ("Keras 3, JAX", "UnexpectedTracerError."),
            ("Keras 3, PyTorch", "works, because nothing is compiled."),
        ),
        why=(
            "The step is compiled. call runs once, to trace it, and the attribute holds a tensor "
            "of that trace, not a batch's value."
        ),
        rule=f"A tensor leaves call by its return value or by add_loss. {ARGUMENTS}",
        repair=(
            "Return it from call and use it in compute_loss; to watch it, update a metric in "
            "the step."
        ),
        broken="""\
def call(self, x):
    self.mu, self.log_var, z = self.encoder(x)  # read by the loss
    return self.decoder(z)""",
        repaired="""\
def call(self, x):
    mu, log_var, z = self.encoder(x)
    return {"x": self.decoder(z), "mu": mu, "log_var": log_var}

def compute_loss(self, x, y, y_pred, sample_weight=None, **kwargs):
    mu, log_var = y_pred["mu"], y_pred["log_var"]
    kl = -0.5 * ops.mean(1 + log_var - ops.square(mu) - ops.exp(log_var))
    return ops.mean(ops.square(y - y_pred["x"])) + kl""",
        recipe="8-compute-loss",
        sources=("tensorflow 40336",),
    ),
    Explanation(
        name="variable-made-in-the-step",
        family="A",
        title="A variable is made while a step runs",
        symptom=Symptom(
            "ValueError: tf.function-decorated function tried to create variables on non-first "
            "call.",
            "TensorFlow 2.4.4",
        ),
        signs=(
            Sign("tf.function-decorated function tried to create variables on non-first call"),
            Sign("tf.function only supports singleton tf.Variables created on the first call"),
            Sign("You are attempting to create a variable while in a stateless scope"),
        ),
        happens=(
            "call, train_step or the loss makes a layer, a metric, an optimiser or a tf.Variable; "
            "or one optimiser meets a second model inside one tf.function."
        ),
        generations=(
            ("TensorFlow 2.0 to 2.4", "tf.function-decorated function tried to create variables"),
            ("later, and Keras 3", "tf.function only supports singleton tf.Variables"),
            ("Keras 3, JAX, PyTorch", "create a variable while in a stateless scope"),
        ),
        why="The step is compiled once and run often. What it makes, it would make every time.",
        rule="Layers, metrics and weights are made in __init__ or build; call only uses them.",
        repair="Make it in __init__ and use it in call.",
        broken="""\
def call(self, x):
    return keras.layers.Dense(2)(x)""",
        repaired="""\
def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.dense = keras.layers.Dense(2)

def call(self, x):
    return self.dense(x)""",
        recipe="5-train-step",
    ),
    Explanation(
        name="unseeded-noise",
        family="A",
        title="The sampling layer draws noise without a seed generator",
        symptom=Symptom(
            "ValueError: Exception encountered when calling Sampling.call().\n\n\x1b[1m[JAX RNG] "
            "When tracing a JAX function, you should only use seeded random ops, e.g. you should "
            "create a `SeedGenerator` instance, attach it to your layer/model, and pass the "
            "instance as the `seed` argument when calling random ops.",
            "Keras 3.15.1 on JAX 0.10.2",
        ),
        signs=(Sign("When tracing a JAX function, you should only use seeded random ops"),),
        happens=(
            "keras.random.normal(shape) is called without seed, in the step that JAX compiles."
        ),
        generations=(
            ("TensorFlow, PyTorch", "works, with the backend's own random state."),
            ("JAX", "refused: there is no hidden random state."),
        ),
        why=(
            "Without one, the noise would be drawn once, when the step is compiled, and stay the "
            "same ever after."
        ),
        rule="Randomness is an attribute: a SeedGenerator that the layer owns.",
        repair="Give the layer a SeedGenerator in __init__ and pass it as seed.",
        broken="""\
epsilon = keras.random.normal(ops.shape(mu))""",
        repaired="""\
# in __init__
self.seed_generator = keras.random.SeedGenerator()
# in call
epsilon = keras.random.normal(
    ops.shape(mu), dtype=mu.dtype, seed=self.seed_generator
)""",
        recipe="8-compute-loss",
    ),
    Explanation(
        name="eager-execution-disabled",
        family="A",
        title="Eager execution is turned off, and Keras 3 needs it",
        symptom=Symptom(
            "RuntimeError: `tf.data.Dataset` only supports Python-style iteration in eager mode "
            "or within tf.function.",
            "Keras 3.15.1 on TensorFlow 2.21.0, after disable_eager_execution()",
        ),
        signs=(
            Sign("`tf.data.Dataset` only supports Python-style iteration in eager mode"),
            Sign("Attempting to capture an EagerTensor without building a function"),
        ),
        happens=(
            "The program calls disable_eager_execution(), the usual folk cure for a KL term that "
            "meets a symbolic tensor."
        ),
        generations=(
            ("Keras 2", "works if it runs before the first layer, variable or tf.function."),
            ("Keras 3", "fit cannot read its data any more."),
        ),
        why=(
            "Graph mode makes placeholders and batches nodes of one graph, so the cure works by "
            "accident. Keras 3 on TensorFlow has no graph mode."
        ),
        rule=ARGUMENTS,
        repair="Remove the line, and give the loss what it needs as arguments.",
        broken="""\
from tensorflow.python.framework.ops import disable_eager_execution
disable_eager_execution()""",
        repaired="""\
# no such line: a layer that gets mu and log_var adds the KL term
mu, log_var = KLTerm()([mu, log_var])""",
        recipe="1-loss-closure",
        sources=("rstudio/keras3 920", "tensorflow 40336"),
    ),
)
