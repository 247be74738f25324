"""Family F: saving and loading."""

from kelbo.clinic.explain.explanation import Explanation, Sign, Symptom

_LOADING = r"load_model|model_from_json|model_from_config|clone_model|from_config"

# Loading a Lambda, in either order.
_LAMBDA_LOADED = rf"Lambda .{{0,900}}? ({_LOADING}) | ({_LOADING}) .{{0,900}}? Lambda"
_SIZES = "(batch_size|epsilon_std|intermediate_dim|latent_dim|latent_size|original_dim|z_dim)"

# The layers that Keras 2 makes from calls on symbolic tensors.
_OPERATIONS = (
    r"(TFOpLambda|SlicingOpLambda|TensorFlowOpLayer|ClassMethod|InstanceMethod|InstanceProperty"
    r"|AddLoss|AddMetric) (?= \W|$|Please|Make)"
)

_SAMPLING_LAYER = """\
@keras.saving.register_keras_serializable(package="vae")
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

z = Sampling()([mu, log_var])"""

_LAMBDA = """\
z = keras.layers.Lambda(sampling)([mu, log_var])"""

_REGISTERED = "Make a model of registered classes whose get_config returns their arguments."

SAVING = (
    Explanation(
        name="lambda-lost-its-globals",
        family="F",
        title="The Lambda layer came back without the names that it used",
        symptom=Symptom(
            'NameError: Exception encountered when calling layer "z" (type Lambda).\n\nname '
            "'exp' is not defined",
            "TensorFlow 2.8.4",
        ),
        signs=(
            Sign(
                r"Exception encountered when calling (layer .{1,80}? \(type Lambda\)"
                r"|Lambda\.call\(\)) .{0,40}? name '\w{1,60}' is not defined"
            ),
            # Before TensorFlow 2.8 only the frame of the Lambda layer sets it apart from a mere
            # slip.
            Sign(
                r"(self\.function\(inputs .{0,900}? | File '<string>', line \d{1,4}, in "
                r"[\w<>]{1,60}) NameError: (global)? name '\w{1,60}' is not defined",
                inside=_LOADING,
            ),
            Sign(r"(global)? name '\w{1,60}' is not defined", inside=_LAMBDA_LOADED),
            # The message alone, of the names that a sampling function mostly reads.
            Sign(rf"\A (NameError:)? (global)? name '{_SIZES}' is not defined \W{{0,9}} \Z"),
        ),
        happens=(
            "The model was saved with Lambda(sampling). Loading it restored the function's "
            "bytecode, and the function uses K, tf, latent_dim or other names of the script."
        ),
        why="Only the bytecode of a Lambda is stored, not the modules and variables around it.",
        rule=f"Put no Lambda layer into a model that you save. {_REGISTERED}",
        repair=(
            "Write the sampling as a layer and save the model again. To rescue the old file, build "
            "the model from its code and call load_weights."
        ),
        broken=_LAMBDA,
        repaired=_SAMPLING_LAYER,
        recipe="6-encoder-layer",
        sources=("keras 4079", "keras 5381", "keras 5524", "keras 9431", "keras 15759"),
    ),
    Explanation(
        name="lambda-refused",
        family="F",
        title="Loading refuses the Lambda layer",
        symptom=Symptom(
            "ValueError: Requested the deserialization of a `Lambda` layer whose `function` is a "
            "Python lambda. This carries a potential risk of arbitrary code execution and thus it "
            "is disallowed by default.",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(r"Requested the deserialization of a Lambda layer"),
            Sign(r"of this `Lambda` layer is a Python lambda\. Deserializing it is unsafe"),
        ),
        happens=(
            "The file contains a Lambda layer with a Python lambda. Loading it would run code from "
            "the file, so Keras refuses."
        ),
        generations=(
            ("TensorFlow to 2.12, and .h5 to 2.15", "loads it, and fails on the names it uses."),
            ("later, and Keras 3", "refuses unless safe_mode=False."),
        ),
        why="A lambda is stored as bytecode. Whoever wrote the file decides what it does.",
        rule=f"Put no Lambda layer into a model that you save. {_REGISTERED}",
        repair=(
            "Write the sampling as a layer. For a file that you made yourself, "
            "load_model(path, safe_mode=False) once, or build the model from code and load_weights."
        ),
        broken=_LAMBDA,
        repaired=_SAMPLING_LAYER,
        recipe="6-encoder-layer",
        sources=("keras 18284",),
    ),
    Explanation(
        name="lambda-output-shape",
        family="F",
        title="Keras 3 cannot tell the shape of the Lambda's output",
        symptom=Symptom(
            "NotImplementedError: Exception encountered when calling Lambda.call().\n\n\x1b[1mWe "
            "could not automatically infer the shape of the Lambda's output. Please specify the "
            "`output_shape` argument for this Lambda layer.",
            "Keras 3.15.1 on TensorFlow 2.21.0",
        ),
        signs=(Sign("We could not automatically infer the shape of the Lambda's output"),),
        happens=(
            "The function of the Lambda layer failed on placeholders, and Keras reports only that "
            "it has no shape. The reason is often a tensor that the function reads from outside."
        ),
        why=(
            "Keras 3 runs the function once on placeholders. output_shape silences this message "
            "and leaves the cause."
        ),
        rule=f"What a function uses arrives as an argument. {_REGISTERED}",
        repair="Write the sampling as a layer that gets mu and log_var as inputs.",
        broken="""\
z = keras.layers.Lambda(lambda m: m + tf.exp(log_var / 2) * noise)(mu)""",
        repaired=_SAMPLING_LAYER,
        recipe="6-encoder-layer",
    ),
    Explanation(
        name="operations-of-keras-2",
        family="F",
        title="The file holds Keras 2's own layers for tf.* calls and add_loss",
        symptom=Symptom(
            "ValueError: Unknown layer: 'TFOpLambda'. Please ensure you are using a "
            "`keras.utils.custom_object_scope` and that this object is included in the scope.",
            "Keras 3.15.1, a file of TensorFlow 2.8.4",
        ),
        signs=(
            Sign(
                r"(Unknown layer: \s?|Could not locate class ) "
                "(TFOpLambda|SlicingOpLambda|TensorFlowOpLayer|ClassMethod|InstanceMethod"
                "|InstanceProperty|AddLoss|AddMetric)(?!\\w)"
            ),
            Sign(r"its parent module keras\.src\.engine\.functional cannot be imported"),
            Sign(
                r"When subclassing the `Model` class, you should implement a `call` method",
                inside=r"load_model\( .{0,4000}? saved_model",
            ),
        ),
        happens=(
            "The model was built on Keras 2 with tf.* on its tensors or with model.add_loss. Keras "
            "2 made layers of these, and Keras 3 has no such layers."
        ),
        why="Files that name layers of Keras 2 need Keras 2.",
        rule=f"Put only layers between the tensors of a model that you save. {_REGISTERED}",
        repair=(
            "Write the formula as a layer, build the model anew and load the weights from the old "
            "file; or load it under Keras 2: pip install tf-keras, TF_USE_LEGACY_KERAS=1."
        ),
        broken="""\
z = mu + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mu))
vae.add_loss(kl)""",
        repaired=_SAMPLING_LAYER,
        recipe="4-add-loss-total",
        sources=("keras 12373",),
    ),
    Explanation(
        name="unknown-class",
        family="F",
        title="Loading does not know your layer, model or loss",
        symptom=Symptom(
            "TypeError: Could not locate class 'Sampling'. Make sure custom classes and functions "
            "are decorated with `@keras.saving.register_keras_serializable()`.",
            "Keras 3.15.1",
        ),
        signs=(
            Sign(
                rf"(Unknown (layer|loss function|metric function|object): | Could not locate "
                rf"(class|function)) (?!{_OPERATIONS}) [\w>]{{1,80}} (?= \.|\W|$)"
            ),
            Sign(r"Cannot deserialize object of type `\w{1,80}`"),
        ),
        happens="The file says which classes the model is made of, and one of them is yours.",
        why=(
            "Files store names, not code. The program that loads must define and register the "
            "class, or pass it, before it loads."
        ),
        rule=_REGISTERED,
        repair=(
            "Register the class and import its module before loading; or pass it in "
            "custom_objects. For predictions alone: load_model(path, compile=False) needs no loss."
        ),
        broken="""\
encoder = keras.models.load_model("encoder.keras")""",
        repaired="""\
@keras.saving.register_keras_serializable(package="vae")
class Sampling(keras.layers.Layer): ...

encoder = keras.models.load_model("encoder.keras")
# or, for a file that is written already:
objects = {"Sampling": Sampling}
encoder = keras.models.load_model("encoder.keras", custom_objects=objects)""",
        recipe="6-encoder-layer",
        sources=("keras 12373", "keras 15759"),
    ),
    Explanation(
        name="get-config-missing",
        family="F",
        title="The class does not say how to make it again",
        symptom=Symptom(
            "NotImplementedError: Layer S2 has arguments in `__init__` and therefore must override "
            "`get_config`.",
            "TensorFlow 2.4.4",
        ),
        signs=(
            Sign(r"has arguments .{0,200}? in `__init__` and therefore must override `get_config"),
            Sign(r"Layers with arguments in `__init__` must override `get_config`"),
            Sign(
                r"was created by passing non-serializable argument values in `__init__\(\)`, and "
                r"therefore the object must override `get_config\(\)`"
            ),
            Sign(r"Unable to revive model from config\. When overriding"),
        ),
        happens="A layer or a model whose __init__ takes arguments is saved or loaded.",
        why="The file needs the arguments, and Keras cannot read them from the object.",
        rule=_REGISTERED,
        repair="Return the arguments from get_config, and serialise those that are models.",
        broken="""\
class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs): ...""",
        repaired="""\
@keras.saving.register_keras_serializable(package="vae")
class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs): ...

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
        }

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        for name in ("encoder", "decoder"):
            config[name] = deserialize(config[name])
        return cls(**config)""",
        recipe="8-compute-loss",
        sources=("keras 12373",),
    ),
    Explanation(
        name="subclassed-model-not-saved",
        family="F",
        title="A subclassed model cannot be stored this way",
        symptom=Symptom(
            "NotImplementedError: Saving the model to HDF5 format requires the model to be a "
            "Functional model or a Sequential model. It does not work for subclassed models,",
            "TensorFlow 2.8.4",
        ),
        signs=(
            Sign(
                "Saving the model to HDF5 format requires the model to be a Functional model or a "
                "Sequential model"
            ),
            Sign("cannot be saved because the input shapes have not been set"),
            Sign(
                "Unable to load weights saved in HDF5 format into a subclassed Model which has not "
                "created its variables yet"
            ),
            Sign("You are saving a model that has not yet been built"),
        ),
        happens=(
            "A VAE with its own train_step is saved to .h5, or is saved or filled with weights "
            "before it has been called once."
        ),
        why=(
            "HDF5 stores a graph of layers, and a subclass has none. Its weights exist only after "
            "the first call, and a train_step that calls encoder and decoder is not one."
        ),
        rule="Save the functional models, encoder and decoder. Call a subclass before saving it.",
        repair=(
            "Save encoder and decoder, each on its own; or give the model a call, call it once and "
            "save it as .keras with a get_config."
        ),
        broken="""\
vae.save("vae.h5")""",
        repaired="""\
vae.encoder.save("encoder.keras")
vae.decoder.save("decoder.keras")""",
        recipe="5-train-step",
        sources=("keras 12373",),
    ),
)
