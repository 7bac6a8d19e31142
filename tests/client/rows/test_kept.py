"""What a process keeps of the clients that it has served."""

from client.rows.kept import Kept, share_of_memory


def made_by(most):
    made = []

    def make(key):
        made.append(key)
        return key * "x"

    return made, Kept(make, len, lambda: most)


def test_what_was_used_last_is_kept_as_far_as_it_fits():
    made, kept = made_by(10)
    assert [kept(key) for key in (4, 5, 4, 3, 4, 5)] == [n * "x" for n in (4, 5, 4, 3, 4, 5)]
    assert made == [4, 5, 3, 5]  # 3 took the place of 5, which was used before 4


def test_one_that_is_too_large_is_kept_alone():
    made, kept = made_by(10)
    for key in (4, 11, 11, 4):
        kept(key)
    assert made == [4, 11, 4]


def test_nothing_is_kept_after_clearing():
    made, kept = made_by(10)
    kept(3)
    kept.cache_clear()
    kept(3)
    assert made == [3, 3]


def test_a_share_of_memory_is_some_of_it():
    assert 2**20 < share_of_memory() < 2**50
