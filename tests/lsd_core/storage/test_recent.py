"""What was read last is not read again, and no more than so many bytes are held."""

from lsd_core.storage.recent import Recent


def test_what_was_asked_for_longest_ago_is_forgotten_where_there_is_no_room() -> None:
    memory, read = Recent(most_bytes=30), list[str]()

    def ask(key: str) -> str:
        def fetch() -> str:
            read.append(key)
            return key * 10

        return memory.find(key, fetch, len)

    for key in "abcab":
        assert ask(key) == key * 10
    assert read == ["a", "b", "c"]  # all three fit
    assert [ask(key) for key in "dab"] == ["d" * 10, "a" * 10, "b" * 10]
    assert read == ["a", "b", "c", "d"]  # the place is c's
    ask("c")
    assert read[4:] == ["c"]
    memory.forget("c")
    memory.forget("never asked for")
    ask("c")
    assert read[4:] == ["c", "c"]
    memory.clear()
    ask("c")
    assert read[4:] == ["c", "c", "c"]


def test_what_is_larger_than_the_room_is_returned_and_not_held() -> None:
    memory, count = Recent(most_bytes=3), 0

    def fetch() -> str:
        nonlocal count
        count += 1
        return "large"

    assert memory.find("small", lambda: "s", len) == "s"
    assert [memory.find("large", fetch, len) for _ in range(2)] == ["large", "large"]
    assert count == 2
