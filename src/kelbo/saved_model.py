"""How a model goes into a file and comes back: with its noise, its optimiser, on any backend."""

from typing import Any

import keras
from keras import ops


class SavedModel:
    """For a keras.Model with a `seed_generator` to inherit from."""

    seed_generator: keras.random.SeedGenerator
    optimizer: keras.Optimizer
    trainable_variables: list[keras.Variable]
    compile: Any
    compiled: bool

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the whole model to a .keras file, as `keras.Model.save`."""
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
        if config and config["optimizer"]["module"].startswith("keras.src.backend."):
            config["optimizer"]["module"] = "keras.optimizers"
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as saved (Keras asks for this where `compile` is overridden)."""
        config = keras.saving.deserialize_keras_object(config)
        if config.get("jit_compile"):
            # Keras saves what it chose for the backend of the day; here it chooses anew.
            del config["jit_compile"]
        self.compile(**{key: value for key, value in config.items() if value is not None})
        self.optimizer.build(self.trainable_variables)
