"""What is set for the whole process is given back, however many wanted it and in whatever order they end."""

import threading

from streamseg.system.process_settings import ProcessSetting


class Box:
    value = 5

    def put(self, value: int) -> None:
        self.value = value


def test_the_last_gives_it_back():
    box = Box()
    setting = ProcessSetting(lambda: box.value, box.put)
    first, second = setting.held(1), setting.held(1)
    with first:
        assert box.value == 1
        second.__enter__()
    assert box.value == 1, "another one still needs it"
    second.__exit__(None, None, None)
    assert box.value == 5


def test_what_somebody_else_set_meanwhile_stays():
    box = Box()
    with ProcessSetting(lambda: box.value, box.put).held(1):
        box.value = 7
    assert box.value == 7


def test_threads_that_come_and_go():
    box = Box()
    setting, wrong = ProcessSetting(lambda: box.value, box.put), list[int]()

    def hold() -> None:
        for _ in range(200):
            with setting.held(1):
                if box.value != 1:
                    wrong.append(box.value)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not wrong
    assert box.value == 5
