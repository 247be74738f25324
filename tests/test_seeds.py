from kelbo.seeds import distinct, folded


def test_a_seed_is_folded_into_what_every_backend_takes():
    assert folded(None) is None
    assert [folded(seed) for seed in (0, 7, 2**31, 2**40 + 3, -1)] == [0, 7, 0, 3, 2**31 - 1]


def test_draws_of_one_number_get_seeds_of_their_own():
    first, again, other = distinct(5, 3), distinct(5, 3), distinct(6, 3)
    assert first == again
    assert len({*first, *other, 5, 6}) == 8
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in first)


def test_a_generator_draws_afresh_by_itself():
    generator = object()
    assert distinct(generator, 2) == [generator, generator]
    assert distinct(None, 2) == [None, None]
