import keras

from kelbo.data import NAMED
from kelbo.networks import NETWORKS
from kelbo.precision import PRECISIONS
from kelbo.presets import PRESETS
from tests.cli.program import kelbo


def test_info_prints_one_json_object():
    result = kelbo("info", "--json")
    assert result.code == 0
    backend = keras.backend.backend()
    assert result.json["environment"]["backend"] == backend
    assert result.json["backends"][backend] == result.json["environment"]["backend_version"]
    assert set(result.json["known"]["models"]) == set(PRESETS)
    assert set(result.json["known"]["networks"]) == set(NETWORKS)
    assert set(result.json["known"]["precisions"]) == set(PRECISIONS)
    assert set(result.json["known"]["data_sets"]) == set(NAMED)


def test_info_says_the_backend_and_the_known_names():
    result = kelbo("info")
    assert result.code == 0
    assert f"Backend: {keras.backend.backend()} (" in result.err
    for name in (*PRESETS, *NETWORKS, *NAMED):
        assert name in result.out


def test_info_says_how_to_install_a_backend_that_is_missing(monkeypatch):
    monkeypatch.setattr("kelbo.cli.info._installed", lambda name: None)
    assert "not installed: pip install 'kelbo[torch]'" in kelbo("info").out
    assert kelbo("info", "--json").json["backends"]["torch"] is None
