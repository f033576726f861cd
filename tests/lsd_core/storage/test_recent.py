"""What is held is not read again, and no more than so many bytes are held."""

from lsd_core.storage.recent import Recent


def test_what_is_held_is_not_read_again_until_it_is_forgotten() -> None:
    memory, read = Recent(most_bytes=30), list[str]()

    def ask(key: str) -> str:
        def fetch() -> str:
            read.append(key)
            return key * 10

        return memory.find(key, fetch, len)

    for key in "abcabccba":
        assert ask(key) == key * 10
    assert read == ["a", "b", "c"]  # all three fit
    for key in ("a", "c", "never asked for"):
        memory.forget(key)
    assert [ask(key) for key in "bcab"] == [key * 10 for key in "bcab"]
    assert read[3:] == ["c", "a"]
    memory.clear()
    assert [ask(key) for key in "abc"] == [key * 10 for key in "abc"]
    assert read[5:] == ["a", "b", "c"]


def test_of_a_grid_that_does_not_fit_a_part_is_found_each_time_that_all_is_read() -> None:
    memory, reads = Recent(most_bytes=600), 0

    def fetch() -> bytes:
        nonlocal reads
        reads += 1
        return bytes(10)

    passes = []
    for _ in range(5):
        before = reads
        for key in range(100):
            assert memory.find(str(key), fetch, len) == bytes(10)
            assert sum(held.num_bytes for held in memory._held.values()) == memory._bytes <= 600
        passes.append(reads - before)
    assert passes[0] == 100
    assert all(40 <= count <= 80 for count in passes[1:])  # by the longest ago it would be 100
    assert sorted(memory._keys) == sorted(memory._held)
    assert all(memory._keys[held.place] == key for key, held in memory._held.items())


def test_what_is_larger_than_the_room_is_returned_and_not_held() -> None:
    memory, count = Recent(most_bytes=3), 0

    def fetch() -> str:
        nonlocal count
        count += 1
        return "large"

    assert memory.find("small", lambda: "s", len) == "s"
    assert [memory.find("large", fetch, len) for _ in range(2)] == ["large", "large"]
    assert count == 2
    assert memory.find("small", fetch, len) == "s"
