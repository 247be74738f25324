"""How a model goes into a file and comes back: with its noise, its optimiser, on any backend."""

from typing import Any, Self

import keras
from keras import ops

from kelbo.errors import UsageError


class SavedModel:
    """For a keras.Model of named parts to inherit from."""

    _parts: tuple[str, ...]
    objective: Any
    seed: int | None
    name: str
    trainable: bool
    dtype_policy: Any
    seed_generator: keras.random.SeedGenerator
    optimizer: keras.Optimizer
    trainable_variables: list[keras.Variable]
    compile: Any
    compiled: bool

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the whole model to a .keras file, as `keras.Model.save`.

        Raises:
            UsageError: the file is of HDF5, from which no model of a class of its own is loaded.
        """
        path = str(args[0] if args else kwargs.get("filepath", ""))
        if path.endswith((".h5", ".hdf5")):
            raise UsageError(
                f"{path} would not load again: Keras's HDF5 files hold no model like this one. "
                "Save the model as model.keras, or its weights alone with "
                "save_weights('model.weights.h5')."
            )
        if self.compiled and not self.optimizer.built:
            # Without its variables Keras would not find them when it loads the file.
            self.optimizer.build(self.trainable_variables)
        super().save(*args, **kwargs)  # type: ignore[misc]

    def save_own_variables(self, store: Any) -> None:
        """Save the state of the noise too, which Keras leaves out, so that training goes on.

        As the state of a Dropout layer it comes back with `load_weights` as well: models that load
        the same weights then draw the same noise.
        """
        super().save_own_variables(store)  # type: ignore[misc]
        store["noise"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Restore what `save_own_variables` saved."""
        self.seed_generator.state.assign(store["noise"])
        rest = {key: store[key] for key in store.keys() if key != "noise"}
        super().load_own_variables(rest)  # type: ignore[misc]

    def get_compile_config(self) -> dict[str, Any] | None:
        """How the model was compiled, readable on every backend.

        On PyTorch Keras names its own subclass of the optimiser, which exists only there.
        """
        config = super().get_compile_config()  # type: ignore[misc]
        optimizer = config and config.get("optimizer")
        if optimizer and optimizer["module"].startswith("keras.src.backend."):
            optimizer["module"] = "keras.optimizers"
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as saved (Keras asks for this where `compile` is overridden)."""
        config = keras.saving.deserialize_keras_object(config)
        if config.get("jit_compile"):
            # Keras saves what it chose for the backend of the day; here it chooses anew.
            del config["jit_compile"]
        self.compile(**{key: value for key, value in config.items() if value is not None})
        self.optimizer.build(self.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """The parts.

        Raises:
            UsageError: two parts share a layer with weights, and would not when they are loaded.
        """
        self._check_nothing_shared()
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            **{name: serialize(getattr(self, name)) for name in self._parts},
            "objective": serialize(self.objective),
            "seed": self.seed,
            "trainable": self.trainable,
            "dtype": serialize(self.dtype_policy),
        }

    def _check_nothing_shared(self) -> None:
        owners: dict[int, str] = {}
        for name in self._parts:
            for layer in getattr(self, name)._flatten_layers():
                owner = owners.setdefault(id(layer), name)
                if owner != name and layer.weights:
                    raise UsageError(
                        f"The {owner} and the {name} share the layer {layer.name!r}. Each is saved "
                        "by itself, and they would share nothing when they are loaded: this model "
                        "trains, but cannot be saved. Give each a layer of its own."
                    )

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Rebuild from `get_config`: every value that is a serialised object is made anew."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
                if isinstance(value, dict) and "class_name" in value and name != "dtype"
                else value
                for name, value in config.items()
            }
        )
