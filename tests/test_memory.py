import numpy as np
import pytest

from kelbo import memory
from kelbo.errors import UsageError


def test_the_memory_of_this_machine_holds_what_this_process_has():
    total = memory.total_memory()
    assert total is None or total > np.zeros(1000).nbytes


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMITS", (str(limit), str(tmp_path / "nowhere")))
    limit.write_text("max\n")
    of_machine = memory.total_memory()
    limit.write_text("1000\n")
    assert memory.total_memory() == 1000 != of_machine


def test_what_does_not_fit_is_refused_with_both_sizes(monkeypatch):
    monkeypatch.setattr(memory, "total_memory", lambda: 16 * 10**9)
    memory.check_memory(16 * 10**9, "It", "Take less.")
    with pytest.raises(UsageError, match="^It would need 1,700.0 GB of memory, .* has 16.0 GB. T"):
        memory.check_memory(17 * 10**11, "It", "Take less.")
    monkeypatch.setattr(memory, "total_memory", lambda: None)
    memory.check_memory(17 * 10**11, "It", "Take less.")
