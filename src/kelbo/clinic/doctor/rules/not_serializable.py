"""KLB404."""

import ast
from collections.abc import Iterator

from kelbo.clinic.doctor.origins import origins_of
from kelbo.clinic.doctor.program import Program
from kelbo.clinic.doctor.rule import Finding, Rule, Severity
from kelbo.clinic.doctor.values import Class, Function, Instance, known_names, options
from kelbo.clinic.doctor.words import dotted

_REGISTERS = "register_keras_serializable"


class NotSerializable(Rule):
    """A model is saved, and a class in it cannot be made again from the file.

    ## What it does
    Looks at the classes of the script in models that are saved whole. Reports those without
    `register_keras_serializable`, and those whose objects were made from layers, models or
    functions and that have no `get_config`. Scripts that use custom objects are left alone.

    ## Why is this bad
    The file holds names and arguments, not code. Keras 3 does not load a class that is not
    registered: TypeError, could not locate class. Without `get_config` it cannot save arguments
    other than numbers and strings.

    ## Example
    ```python
    class Sampling(keras.layers.Layer): ...


    vae.save("vae.keras")
    ```

    ## Use instead
    ```python
    @keras.saving.register_keras_serializable(package="vae")
    class Sampling(keras.layers.Layer): ...


    vae.save("vae.keras")
    ```
    """

    code = "KLB404"
    title = "A class of a saved model cannot be loaded"
    severity = Severity.WARNING
    generations = (
        ("Keras 2", "Unknown layer, or Cannot deserialize, unless custom_objects has the class"),
        ("Keras 3", "TypeError: Could not locate class, unless custom_objects has it"),
    )
    explanation = "unknown-class"

    def check(self, program: Program) -> Iterator[Finding]:
        """Every such class."""
        saved = [
            owner
            for call in program.method_calls("save")
            for owner in call.owners
            if isinstance(owner, Instance) and owner.is_model
        ]
        if not saved or _has_custom_objects(program):
            return
        for model in saved:
            for part in origins_of(program).parts_of(model):
                if isinstance(part.of, Class) and part.is_layer:
                    yield from self._of_class(part.of, part)

    def _of_class(self, made: Class, part: Instance) -> Iterator[Finding]:
        decorators = {
            dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]
            for node in made.node.decorator_list
        }
        if _REGISTERS not in decorators:
            yield self.finding(
                made.node,
                f"{made.name} is a part of a saved model, but it is not registered.",
                f'Write @keras.saving.{_REGISTERS}(package="vae") above class {made.name}.',
            )
        elif made.find("get_config") is None and any(
            isinstance(option, Instance | Function | Class)
            for value in part.arguments
            for option in options(value)
        ):
            yield self.finding(
                made.node,
                f"{made.name} is made from layers or functions, but has no get_config that names "
                "them.",
                f"Return them from {made.name}.get_config with "
                "keras.saving.serialize_keras_object, and read them in from_config.",
            )


def _has_custom_objects(program: Program) -> bool:
    return any(
        keyword.arg == "custom_objects" for call in program.calls for keyword in call.node.keywords
    ) or any(
        "custom_object" in name
        for reading in program.readings
        for name in known_names(reading.value)
    )
