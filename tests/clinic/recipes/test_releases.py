from kelbo.clinic.recipes.environments import ENVIRONMENTS
from kelbo.clinic.recipes.releases import LANDMARKS, RELEASES

TITLES = [release.title for release in RELEASES]


def numbers(title):
    """Keras 3 comes after every TensorFlow with a Keras of its own."""
    package, number = title.split()[:2]
    return package == "Keras", *map(int, number.split("."))


def test_releases_are_in_order_and_none_is_there_twice():
    assert [numbers(title) for title in TITLES] == sorted({numbers(title) for title in TITLES})
    assert len({release.name for release in RELEASES}) == len(RELEASES)


def test_no_minor_release_is_left_out():
    """Of each, the first patch and all up to the last one listed."""
    by_minor = {}
    for title in TITLES:
        keras, major, minor, patch = numbers(title)
        by_minor.setdefault((keras, major, minor), []).append(patch)
    assert [minor for keras, major, minor in by_minor if not keras and major == 2] == [*range(16)]
    assert [minor for keras, _, minor in by_minor if keras] == [*range(16)]
    for minor, patches in by_minor.items():
        if minor != (False, 1, 15):  # 1.15.1 was withdrawn
            assert patches == [*range(len(patches))]


def test_the_line_runs_on_tensorflow_alone_and_has_both_modes():
    assert {release.backend for release in RELEASES} == {"tensorflow"}
    assert {release.modes for release in RELEASES} == {("on", "off")}


def test_landmarks_are_the_tables_environments_on_the_line_in_its_order():
    assert [mark.name for mark in LANDMARKS] == [
        "tf-1.15",
        "tf-2.0",
        "tf-2.1",
        "tf-2.2",
        "tf-2.3",
        "tf-2.4",
        "tf-2.8",
        "tf-2.12",
        "tf-2.15",
        "keras-3.0-tensorflow",
        "keras-3.15-tensorflow",
    ]
    places = [TITLES.index(mark.title) for mark in LANDMARKS]
    assert places == sorted(places)
    assert set(LANDMARKS) <= set(ENVIRONMENTS.values())


def test_the_line_ends_in_a_landmark():
    """Or what came after it would never be tried; before the first, nothing but its patches."""
    assert LANDMARKS[-1].title == TITLES[-1]
    first = TITLES.index(LANDMARKS[0].title)
    assert all(title.startswith("TensorFlow 1.15.") for title in TITLES[:first])


def test_a_landmark_installs_the_same_as_its_release():
    by_title = {release.title: release for release in RELEASES}
    for mark in LANDMARKS:
        release = by_title[mark.title]
        assert (mark.python, mark.pins, mark.variables, mark.default_mode) == (
            release.python,
            release.pins,
            release.variables,
            release.default_mode,
        )
