import pytest

from kelbo.report.colours import COLOURS, MOST_LOOKS, looks

BLUE, ORANGE, GREEN = COLOURS[:3]


@pytest.mark.parametrize(
    "names, colours",
    [
        (["rose", "tulip"], [BLUE, ORANGE]),
        (["green", "orange"], [GREEN, ORANGE]),
        (["rose", "Dark Green", "blue_ball"], [ORANGE, GREEN, BLUE]),
        (["yellow-green", "greenhouse"], [GREEN, BLUE]),
        (["yellow"], ["#d3ae12"]),
    ],
)
def test_a_class_with_a_colour_word_has_that_colour(names, colours):
    assert [look.colour for look in looks(names)] == colours


def test_two_of_one_colour_have_two_markers():
    one, other = looks(["green apple", "green pear"])
    assert one.colour == other.colour == GREEN
    assert one.marker != other.marker
    third = looks(["green", "green pear", "green plum"])[2]
    assert third.colour != GREEN


def test_what_a_class_is_called_no_other_takes_while_there_is_more():
    green, *others = looks(["green", *(f"flower {index}" for index in range(13))])
    assert green.colour == GREEN
    assert GREEN not in {look.colour for look in others}


@pytest.mark.parametrize("word", ["rose", "red"])
def test_every_class_has_a_look_of_its_own(word):
    assert len(set(looks([f"{word} {index}" for index in range(MOST_LOOKS)]))) == MOST_LOOKS
