"""n replicas of tf.distribute take the step of one device."""

import json

from tests.backends.several import free_ports, run

HERE = "tests/backends/tensorflow"


def test_two_replicas_on_one_machine():
    failed = run(f"{HERE}/mirrored.py", KERAS_BACKEND="tensorflow")
    assert not failed, failed


def test_two_workers():
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": i}} for i in range(2)]
    workers = [{"TF_CONFIG": json.dumps(task)} for task in tasks]
    failed = run(f"{HERE}/worker.py", workers, KERAS_BACKEND="tensorflow")
    assert not failed, failed
