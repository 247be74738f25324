import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelbo.clinic.recipes.history import (
    DEFAULT,
    OFF,
    Change,
    Line,
    Point,
    find_changes,
    from_json,
    merged,
    to_json,
)
from kelbo.clinic.recipes.releases import LANDMARKS, RELEASES, between
from kelbo.clinic.recipes.verdict import FAILS, WORKS, WRONGLY
from kelbo.errors import LabError
from tests.clinic.recipes.support import RECIPE, REPAIR, TITLES, World

MARKED = {release.title for release in LANDMARKS}
BETWEEN = [title for title in TITLES if title not in MARKED]


def search(world, mode=DEFAULT):
    return find_changes([Line(RECIPE, mode)], world.run)


# What came before the first landmark is not looked at.
turns = st.integers(TITLES.index(LANDMARKS[0].title) + 1, len(TITLES) - 1)


def last_and_first(turn, missing):
    """The last release before a turn that can be had, and the first after it."""
    there = [title for title in TITLES if title not in missing]
    before = [title for title in there if TITLES.index(title) < turn]
    return before[-1], there[len(before)]


@given(turns)
def test_the_exact_release_is_found_in_as_few_steps_as_bisection_needs(turn):
    world = World(turn)
    (change,) = search(world)
    assert (change.before.release, change.after.release) == (TITLES[turn - 1], TITLES[turn])
    assert (change.before.verdict, change.after.verdict) == (WORKS, FAILS)
    assert change.after.reason == "fails it is"
    assert change.skipped == ()
    landmarks = sorted(TITLES.index(title) for title in MARKED)
    earlier = max(place for place in landmarks if place < turn)
    later = min(place for place in landmarks if place >= turn)
    assert len(world.bisected()) <= math.ceil(math.log2(later - earlier))


@given(turns, st.sets(st.sampled_from(BETWEEN), max_size=60))
def test_releases_that_cannot_be_had_are_stepped_over(turn, missing):
    world = World(turn, missing)
    (change,) = search(world)
    before, after = last_and_first(turn, missing)
    assert (change.before.release, change.after.release) == (before, after)
    # What was skipped lies between the two, and all that lies between was skipped.
    start, end = TITLES.index(before), TITLES.index(after)
    assert list(change.skipped) == TITLES[start + 1 : end]
    # Nothing is tried twice.
    assert len(set(world.bisected())) == len(world.bisected())


@given(st.sets(st.sampled_from(sorted(MARKED)), max_size=len(MARKED) - 2), turns)
def test_landmarks_that_cannot_be_had_are_stepped_over(missing, turn):
    world = World(turn, missing)
    changes = search(world)
    there = [TITLES.index(title) for title in MARKED - missing]
    if min(there) < turn <= max(there):
        (change,) = changes
        before, after = last_and_first(turn, missing)
        assert (change.before.release, change.after.release) == (before, after)
    else:
        assert changes == []


def test_a_verdict_that_never_changes_has_no_history():
    assert search(World(0)) == []
    assert search(World(len(TITLES))) == []


def test_nothing_to_be_had_is_no_history():
    """Or a search without a network would empty a history that it is saved into."""
    with pytest.raises(LabError, match="of the 11 environments .* 0 were available"):
        search(World(5, TITLES))


def test_every_landmark_where_it_changes_starts_a_search():
    """Right in TensorFlow 1, wrong until 2.8, then right again."""

    class Twice(World):
        def verdict(self, title):
            place = TITLES.index(title)
            first, second = TITLES.index("TensorFlow 2.0.0"), TITLES.index("TensorFlow 2.5.1")
            return WORKS if place < first else WRONGLY if place < second else WORKS

    changes = search(Twice(0))
    assert [(change.before.release, change.after.release) for change in changes] == [
        ("TensorFlow 1.15.5", "TensorFlow 2.0.0"),
        ("TensorFlow 2.5.0", "TensorFlow 2.5.1"),
    ]


def test_a_release_is_tried_in_the_mode_that_it_comes_with():
    world = World(3)
    search(world, DEFAULT)
    modes = {cell.environment.title: cell.mode for cell in world.asked}
    assert all(
        mode == ("off" if title.startswith("TensorFlow 1.") else "on")
        for title, mode in modes.items()
    )


def test_or_without_eager_execution_everywhere():
    world = World(3)
    search(world, OFF)
    assert {cell.mode for cell in world.asked} == {"off"}


@given(turns, turns)
def test_lines_are_searched_in_step_and_each_release_is_visited_once(first, second):
    """So that each environment has to be built once."""
    worlds = {RECIPE.kind: World(first), REPAIR.kind: World(second)}
    visits = []

    def run(cells):
        visits.append({cell.environment.title for cell in cells})
        return [worlds[cell.script.kind].run([cell])[0] for cell in cells]

    changes = find_changes([Line(RECIPE, DEFAULT), Line(REPAIR, DEFAULT)], run)
    found = {change.script: change.after.release for change in changes}
    assert found == {RECIPE.kind: TITLES[first], REPAIR.kind: TITLES[second]}
    assert all(len(visit) == 1 for visit in visits[1:])
    alone = find_changes([Line(RECIPE, DEFAULT)], World(first).run)
    assert alone == [change for change in changes if change.script == RECIPE.kind]


def test_between_two_landmarks_are_the_releases_after_one_and_before_the_other():
    by_title = {release.title: release for release in RELEASES}
    found = between(by_title["TensorFlow 2.3.4"], by_title["TensorFlow 2.4.4"])
    assert [release.title for release in found] == [f"TensorFlow 2.4.{patch}" for patch in range(4)]
    found = between(by_title["TensorFlow 2.15.1"], by_title["Keras 3.0.5 on TensorFlow"])
    assert [release.title for release in found] == [
        f"Keras 3.0.{patch} on TensorFlow" for patch in range(5)
    ]


POINT = Point("TensorFlow 2.4.0", FAILS, "TypeError: x", "2026-11-23")


def change(recipe="1-loss-closure", script="recipe", mode=DEFAULT, release="2.4.0"):
    after = Point(f"TensorFlow {release}", WORKS, "", "2026-11-23")
    return Change(recipe, script, mode, POINT, after, ("TensorFlow 2.4.1",))


points = st.builds(Point, st.sampled_from(TITLES), st.just(WORKS), st.text(), st.just("2026-11-23"))
changes = st.builds(
    Change,
    st.just("1-loss-closure"),
    st.sampled_from(["recipe", "repair"]),
    st.sampled_from([DEFAULT, OFF]),
    points,
    points,
    st.lists(st.text()).map(tuple),
)


@given(st.lists(changes, max_size=4))
def test_a_history_is_the_same_after_a_round_trip(found):
    assert from_json(to_json(found), "x") == found


@pytest.mark.parametrize(
    "text", ["", "{", "3", "null", '["x"]', "[{}]", '[{"before": {}, "after": {}}]']
)
def test_a_text_that_is_no_history_is_refused(text):
    with pytest.raises(LabError, match=r"^h\.json holds no history of the recipes lab: .*--save"):
        from_json(text, "h.json")


def test_a_line_that_was_searched_again_takes_the_place_of_what_was_known_of_it():
    known = [change("3-add-loss-kl"), change(), change(mode=OFF), change(script="repair")]
    lines = [Line(RECIPE, DEFAULT), Line(REPAIR, DEFAULT)]
    new = [change(release="2.4.3"), change(release="3.0.0")]
    assert merged(known, lines, new) == [*new, change(mode=OFF), change("3-add-loss-kl")]
    assert merged(known, lines, []) == [change(mode=OFF), change("3-add-loss-kl")]
