from kelbo.places import cache_directory


def test_the_place_is_the_user_s_cache_unless_the_environment_names_another(tmp_path, monkeypatch):
    monkeypatch.setenv("KELBO_CACHE", str(tmp_path))
    assert cache_directory("recipes") == tmp_path / "recipes"
    monkeypatch.delenv("KELBO_CACHE")
    assert cache_directory("images").parts[-2:] == ("kelbo", "images")
