"""The environments of the lab: which Python, which packages, which backend.

Every pin is exact. `locks/NAME.txt` holds what the pins below resolve to, dependencies included;
`python -m kelbo.clinic.recipes.lock` writes those files anew.
"""

import dataclasses
import hashlib
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from kelbo.errors import unknown_name

# Stands for all environments that the running interpreter can be.
HERE = "here"

# Eager execution on, or switched off by the article's own statement.
MODES = ("on", "off")


@dataclasses.dataclass(frozen=True)
class Environment:
    """One environment: an interpreter and exact packages.

    Args:
        name: its name on the command line.
        title: its name in the table.
        python: major and minor version of the interpreter.
        pins: the requirements that define it.
        backend: "tensorflow", "jax" or "torch".
        keras: the major version of the Keras API that a recipe meets there.
        variables: environment variables of its processes.
        default_mode: eager execution "on" or "off" if nobody chooses.
        interpreter: the interpreter, if the environment exists and kelbo need not build it.
    """

    name: str
    title: str
    python: str
    pins: tuple[str, ...]
    backend: str = "tensorflow"
    keras: int = 2
    variables: tuple[tuple[str, str], ...] = ()
    default_mode: str = "on"
    interpreter: Path | None = None

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes to choose from: only TensorFlow can switch eager execution off."""
        return MODES if self.backend == "tensorflow" else ("on",)

    @property
    def requirements(self) -> str:
        """The requirements to install, one a line: the lock, or the pins if there is none."""
        lock = files("kelbo.clinic.recipes") / "locks" / f"{self.name}.txt"
        return lock.read_text() if lock.is_file() else "".join(f"{pin}\n" for pin in self.pins)

    @property
    def fingerprint(self) -> str:
        """A hash that changes whenever another environment would be built."""
        return hashlib.sha256(f"{self.python}\n{self.requirements}".encode()).hexdigest()[:12]


# Protobuf 3.20 and later refuse the generated code of TensorFlow before 2.12; releases of
# TensorFlow before 2.16 admit a NumPy 2 that they cannot import.
_OLD = ("protobuf==3.19.6", "numpy<2")


def tensorflow(release: str) -> Environment:
    """A release of TensorFlow with the Keras 2 of its time (1.15 to 2.15)."""
    minor = int(release.split(".")[1])
    first = release.startswith("1.")
    pins = [f"{'tensorflow' if first or minor == 0 else 'tensorflow-cpu'}=={release}"]
    if first or minor < 12:
        pins += _OLD
    elif minor < 16:
        pins.append("numpy<2")
    # TensorFlow 2.6 to 2.12 admit a Keras that is newer than they are.
    if not first and 6 <= minor <= 15:
        pins.append(f"keras=={'2.13.1' if minor == 13 else f'2.{minor}.0'}")
    python = "3.7" if first or minor < 8 else "3.10" if minor < 12 else "3.11"
    return Environment(
        name=f"tf-{release}",
        title=f"TensorFlow {release}",
        python=python,
        pins=tuple(pins),
        default_mode="off" if first else "on",
    )


def keras_3(release: str, backend: str = "tensorflow") -> Environment:
    """A release of Keras 3 on a release of one of its backends of about the same age."""
    minor = int(release.split(".")[1])
    pins = {
        # TensorFlow 2.16 was the first whose tf.keras is Keras 3.
        "tensorflow": ["tensorflow-cpu==2.16.2" if minor < 12 else "tensorflow-cpu==2.21.0"],
        "jax": ["jax==0.4.23", "jaxlib==0.4.23", "scipy<1.13"] if minor < 12 else ["jax==0.10.2"],
        "torch": ["torch==2.13.0"],
    }[backend]
    if minor < 12:
        # Keras 3.0 imports packaging without requiring it.
        pins += ["numpy<2", "packaging==24.2"]
    backends = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
    return Environment(
        name=f"keras-{release}-{backend}",
        title=f"Keras {release} on {backends[backend]}",
        python="3.11",
        pins=(f"keras=={release}", *pins),
        backend=backend,
        keras=3,
        variables=(("KERAS_BACKEND", backend),),
    )


def _named(name: str, environment: Environment) -> Environment:
    return dataclasses.replace(environment, name=name)


_TABLE = (
    *(
        _named(f"tf-{release.rpartition('.')[0]}", tensorflow(release))
        for release in (
            "1.15.5",
            "2.0.4",
            "2.1.4",
            "2.2.3",
            "2.3.4",
            "2.4.4",
            "2.8.4",
            "2.12.1",
            "2.15.1",
        )
    ),
    Environment(
        name="tf-2.21-tf-keras",
        title="TensorFlow 2.21.0 with tf-keras 2.21.0",
        python="3.11",
        pins=("tensorflow-cpu==2.21.0", "tf-keras==2.21.0"),
        variables=(("TF_USE_LEGACY_KERAS", "1"),),
    ),
    *(
        _named(f"keras-{release.rpartition('.')[0]}-{backend}", keras_3(release, backend))
        for release in ("3.0.5", "3.15.1")
        for backend in ("tensorflow", "jax", "torch")
    ),
)

ENVIRONMENTS = {environment.name: environment for environment in _TABLE}


def here() -> list[Environment]:
    """The environments that the running interpreter can be, without building anything."""
    installed = {package: _installed(package) for package in _PACKAGES}
    found = []
    for backend in ("tensorflow", "jax", "torch"):
        if installed[backend]:
            environment = keras_3(installed["keras"], backend)
            found.append(dataclasses.replace(environment, name=f"here-{backend}"))
    if installed["tensorflow"] and installed["tf-keras"]:
        legacy = ENVIRONMENTS["tf-2.21-tf-keras"]
        title = f"TensorFlow {installed['tensorflow']} with tf-keras {installed['tf-keras']}"
        found.append(dataclasses.replace(legacy, name="here-tf-keras", title=title))
    pins = tuple(f"{name}=={version}" for name, version in installed.items() if version)
    return [
        dataclasses.replace(
            environment,
            python=platform.python_version(),
            pins=pins,
            interpreter=Path(sys.executable),
        )
        for environment in found
    ]


_PACKAGES = ("keras", "numpy", "tensorflow", "tf-keras", "jax", "torch")


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def find_environments(names: Sequence[str]) -> list[Environment]:
    """The environments of these names, in the table's order; the whole table if none is given.

    Args:
        names: those of the table; "here" stands for all that the running interpreter can be.

    Raises:
        UsageError: a name is unknown.
    """
    known = ENVIRONMENTS | {environment.name: environment for environment in here()}
    for name in names:
        if name not in known and name != HERE:
            raise unknown_name("environment", name, [*known, HERE])
    if not names:
        return list(ENVIRONMENTS.values())
    return [
        environment
        for name, environment in known.items()
        if name in names or (HERE in names and environment.interpreter is not None)
    ]
