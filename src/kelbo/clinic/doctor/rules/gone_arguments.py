"""KLB405."""

from collections.abc import Iterator, Mapping

from kelbo.clinic.doctor import library
from kelbo.clinic.doctor.program import Call, Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.strings import ending
from kelbo.clinic.doctor.values import (
    Class,
    Constant,
    Instance,
    Known,
    Value,
    is_model_name,
    options,
)
from kelbo.clinic.doctor.words import dotted, in_words

# The arguments of Keras 2, and of Keras 1 where Keras 2 still took them, and what replaces them;
# empty if nothing does.
OF_OPTIMIZERS = {
    "decay": "a schedule, keras.optimizers.schedules.InverseTimeDecay, as the learning_rate",
    "lr": "learning_rate",
}
OF_WEIGHTS = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "bias": "use_bias",
    "init": "kernel_initializer",
}
_IMAGES = {"border_mode": "padding", "dim_ordering": "data_format"}
_CONVOLUTION = (
    OF_WEIGHTS
    | _IMAGES
    | {
        "atrous_rate": "dilation_rate",
        "nb_col": "kernel_size",
        "nb_filter": "filters",
        "nb_row": "kernel_size",
        "subsample": "strides",
    }
)
_SEQUENCES = {
    "border_mode": "padding",
    "filter_length": "kernel_size",
    "nb_filter": "filters",
    "subsample_length": "strides",
}
_RATE = {"p": "rate"}
_POOLING = {"border_mode": "padding", "pool_length": "pool_size", "stride": "strides"}
_RECURRENT = {
    "U_regularizer": "recurrent_regularizer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "consume_less": "",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "output_dim": "units",
}
_GATED = _RECURRENT | {"inner_activation": "recurrent_activation"}
OF_LAYERS = {
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _IMAGES,
    "BatchNormalization": {
        "beta_init": "beta_initializer",
        "fused": "",
        "gamma_init": "gamma_initializer",
        "mode": "",
        "virtual_batch_size": "",
    },
    "Conv1D": OF_WEIGHTS | _SEQUENCES,
    "Conv2D": _CONVOLUTION,
    "Conv2DTranspose": _CONVOLUTION,
    "Conv3D": _CONVOLUTION,
    "Dense": OF_WEIGHTS | {"output_dim": "units"},
    "Dropout": _RATE,
    "Embedding": {
        "W_constraint": "embeddings_constraint",
        "W_regularizer": "embeddings_regularizer",
        "dropout": "",
        "init": "embeddings_initializer",
    },
    "GRU": _GATED,
    "GaussianDropout": _RATE,
    "GaussianNoise": {"sigma": "stddev"},
    "LSTM": _GATED | {"forget_bias_init": "unit_forget_bias"},
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _IMAGES,
    "SimpleRNN": _RECURRENT,
    "UpSampling1D": {"length": "size"},
    "UpSampling2D": {"dim_ordering": "data_format"},
    "ZeroPadding2D": {"dim_ordering": "data_format"},
}
OF_MODELS = {"input": "inputs", "output": "outputs"}
# The methods of a model, and what replaces them.
METHODS = {
    "evaluate_generator": "evaluate",
    "fit_generator": "fit",
    "predict_classes": "predict, and the argmax of what it returns",
    "predict_generator": "predict",
    "predict_proba": "predict",
    "to_yaml": "to_json",
}
OF_METHODS = {
    "add_loss": {"inputs": ""},
    "compile": {"sample_weight_mode": "", "target_tensors": ""},
    "fit": {"nb_epoch": "epochs", "show_accuracy": "", "nb_worker": ""},
    "save_weights": {"save_format": "a file name that ends in .weights.h5"},
}
_ROOTS = ("keras.", "tensorflow.keras.")
# How a file name must end.
_WHOLE = (".keras", ".h5", ".hdf5")
_WEIGHTS_ALONE = (".weights.h5",)


class GoneArguments(Rule):
    """The script uses an argument or a method of Keras that only Keras 2 has.

    ## What it does
    Reports `lr` and `decay` of optimizers, arguments of layers and of models and methods of models
    that Keras 3 does not have, those of Keras 1 and the `save_format` of `save_weights` among them,
    and file names that `save`, `save_weights` and `ModelCheckpoint` refuse, with or without a
    `save_format`, wherever the script puts them together.

    ## Why is this bad
    Keras 3 stops: ValueError, TypeError or AttributeError. It ignores a `decay`, with a warning, so
    that the learning rate stays constant.

    ## Example
    ```python
    vae.compile(keras.optimizers.Adam(lr=1e-3))
    vae.fit_generator(batches)
    vae.save("vae")
    ```

    ## Use instead
    ```python
    vae.compile(keras.optimizers.Adam(learning_rate=1e-3))
    vae.fit(batches)
    vae.save("vae.keras")
    ```
    """

    code = "KLB405"
    title = "An argument or a method of Keras 2 is gone"
    severity = Severity.ERROR
    only_keras_3 = True
    generations = (
        ("Keras 2", "has it, or had it in some release"),
        (
            "Keras 3, which is tensorflow.keras since TensorFlow 2.16",
            "the call fails; decay is ignored",
        ),
    )
    why = "Keras 3 has one name for each argument and one method for each task."

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such call of a class or of a model of Keras."""
        for call in program.calls:
            if call.guarded:
                continue
            for option in options(call.function):
                if isinstance(option, Known) and option.spelled.startswith(_ROOTS):
                    yield from self._of_class(call, option.name)
            owners = [owner for owner in call.owners if isinstance(owner, Instance)]
            if not owners or len(owners) < len(call.owners) or not all(map(_is_of_keras, owners)):
                continue
            if all(owner.is_model for owner in owners):
                yield from self._of_model(call)
            elif call.method == "add_loss":
                yield from self._of_arguments(call, OF_METHODS["add_loss"])

    def _of_class(self, call: Call, name: str) -> Iterator[Finding]:
        module, _, last = name.rpartition(".")
        if module == "keras.optimizers" and last in library.OPTIMIZERS:
            yield from self._of_arguments(call, OF_OPTIMIZERS)
        elif is_model_name(name) and last != "Sequential":
            yield from self._of_arguments(call, OF_MODELS)
        elif name.startswith("keras.layers."):
            # Keras 3 still accepts Conv2D under its old name.
            layer = last.replace("Convolution", "Conv")
            yield from self._of_arguments(call, OF_LAYERS.get(layer, {}))
        elif name == "keras.callbacks.ModelCheckpoint":
            alone = call.arguments.get(None, "save_weights_only") or Constant(False)
            if isinstance(alone, Constant):
                ends = _WEIGHTS_ALONE if alone.value else _WHOLE[:2]
                yield from self._of_file(call, ends)

    def _of_model(self, call: Call) -> Iterator[Finding]:
        method = call.method or ""
        if method in METHODS:
            yield self.finding(
                call.node,
                f"A model of Keras 3 has no {method}.",
                f"Take {METHODS[method]}.",
            )
        elif method == "save":
            yield from self._of_file(call, _WHOLE)
        elif method == "save_weights" and call.arguments.get(None, "save_format") is None:
            yield from self._of_file(call, _WEIGHTS_ALONE)
        else:
            yield from self._of_arguments(call, OF_METHODS.get(method, {}))

    def _of_arguments(self, call: Call, gone: Mapping[str, str]) -> Iterator[Finding]:
        names = [keyword.arg for keyword in call.node.keywords if keyword.arg is not None]
        given = [name for name in names if name in gone and not _is_idle(call, name)]
        if given:
            cures = "; ".join(
                f"in place of {name} take {gone[name]}" if gone[name] else f"leave {name} out"
                for name in given
            )
            yield self.finding(
                call.node,
                f"{dotted(call.node.func)} takes no {in_words(given)} in Keras 3.",
                f"{cures[0].upper()}{cures[1:]}.",
            )

    def _of_file(self, call: Call, ends: tuple[str, ...]) -> Iterator[Finding]:
        given = dict(call.arguments.keywords).keys() & {"zipped"}
        values = options(call.arguments.get(0, "filepath"))
        names = [name for value in values if (name := ending(value)) is not None]
        wrong = [name for name in names if not name.endswith(ends) and not name.startswith("hf://")]
        if given or not values or len(wrong) < len(values):
            return
        name, whole = wrong[0], isinstance(values[0], Constant)
        what = repr(name) if whole else f"a file whose name ends in {name!r}"
        cure = f"Write {_stem(name) + ends[0]!r}" if whole else f"Let the name end in {ends[0]}"
        exports = call.method == "save"
        yield self.finding(
            call.node,
            f"{dotted(call.node.func)} writes to {what}, but Keras 3 asks for a name that ends "
            f"in {' or '.join(ends)}.",
            f"{cure}{'; or model.export for a SavedModel' * exports}.",
        )


def _is_of_keras(value: Value) -> bool:
    """Whether an object or a class has its methods from the script and from Keras alone."""
    made = value.of if isinstance(value, Instance) else value
    if isinstance(made, Class):
        return all(_is_of_keras(option) for base in made.bases for option in options(base))
    return isinstance(made, Known) and made.spelled.startswith(_ROOTS)


def _is_idle(call: Call, name: str) -> bool:
    """Whether an argument changes nothing: a decay of 0."""
    idle = (Constant(None), Constant(0)) if name == "decay" else ()
    return call.arguments.get(None, name) in idle


def _stem(name: str) -> str:
    """A file name without an extension of Keras or TensorFlow."""
    for end in (".weights", ".h5", ".hdf5", ".ckpt", ".tf", ".keras", ".model"):
        name = name.removesuffix(end)
    return name.rstrip("/")
