import socket
import sys
import warnings

import keras
import pytest

from kelbo.clinic.port import trial
from kelbo.clinic.recipes import processes

# What a trial replaces in the process that it has for itself.
REPLACED = (
    (keras.Model, "fit"),
    (keras.Model, "train_on_batch"),
    (keras.utils, "plot_model"),
    *((getattr(keras.datasets, name), "load_data") for name in trial._IMAGES),
    (socket.socket, "connect"),
    (sys, "argv"),
)


@pytest.fixture
def trials_here(monkeypatch):
    """Trials run in this process, on its backend; most of its time a process would import Keras."""

    def run(command, seconds, variables, folder):
        with monkeypatch.context() as patch, warnings.catch_warnings(action="ignore"):
            for owner, name in REPLACED:
                patch.setattr(owner, name, getattr(owner, name))
            patch.chdir(folder)
            trial.main(*command[-2:])
        return processes.Ended(0, "", "")

    monkeypatch.setattr(processes, "run", run)
