"""Warn during training when a model goes wrong, and say what to do about it."""

import logging
from typing import Any

import keras

from kelbo.clinic.diagnosis.data import check_array
from kelbo.clinic.diagnosis.diagnose import LEARNING_CHECKS, SETTLING_STEPS, examine
from kelbo.clinic.diagnosis.find_subject import subject_of
from kelbo.clinic.diagnosis.finding import Finding
from kelbo.clinic.diagnosis.finite import check_finite
from kelbo.clinic.diagnosis.log_var import check_log_var
from kelbo.clinic.diagnosis.observation import observe

logger = logging.getLogger("kelbo")

# The number of data that pass through the model after every epoch.
_ROWS = 256


class Watch(keras.callbacks.Callback):
    """Warn in one line when the model goes wrong, with the cure.

    After every epoch the checks of `kelbo.diagnose` that need no training step run on the same few
    data. Each finding goes to the logger "kelbo" once, and again only after it had gone away.

    Args:
        x: at least two data, (n, *data_shape), of which the first 256 are used. For a conditional
            VAE: the list, tuple or dictionary of arrays that `fit` takes as x.
        settling_steps: the training steps before collapse, an ignored z and a poor reconstruction
            count. Every model begins with them.

    Raises:
        DataError: x does not consist of arrays of at least two data.
    """

    chunk_safe = True

    def __init__(self, x: Any, settling_steps: int = SETTLING_STEPS):
        super().__init__()
        for array in keras.tree.flatten(x):
            check_array(array, axes=1)
        self.x = keras.tree.map_structure(lambda array: array[:_ROWS], x)
        self.settling_steps = settling_steps

    def on_train_begin(self, logs: Any = None) -> None:
        """Find the parts of the model.

        Raises:
            UsageError: no encoder or decoder was found.
            DataError: x does not fit the model, or lacks its conditions.
        """
        self.subject = subject_of(self.model, x=self.x)
        self.data = self.subject.data(self.x)
        self.seen: frozenset[str] = frozenset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Run the checks and warn of new findings."""
        findings = [finding for finding in self._look() if finding.severity != "note"]
        for finding in findings:
            if finding.name not in self.seen:
                logger.warning("Epoch %d: %s", epoch + 1, finding.line)
        self.seen = frozenset(finding.name for finding in findings)

    def _look(self) -> list[Finding]:
        likelihood = self.subject.only_likelihood
        observation = observe(self.subject, self.data, likelihood)
        not_finite = None if observation.is_finite else check_finite(self.subject, self.data)
        if not_finite is not None:
            return [not_finite]
        settled = int(self.model.optimizer.iterations) >= self.settling_steps
        return examine(observation, (check_log_var, *(LEARNING_CHECKS if settled else ())))
