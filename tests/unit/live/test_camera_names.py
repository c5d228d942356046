"""What cameras are called that were given by their addresses alone."""

from streamseg.live.camera_names import named


def test_an_image_is_called_as_its_file_and_many_as_their_folder(tmp_path):
    (tmp_path / "Yard").mkdir()
    (tmp_path / "a[1].png").touch()
    sources = [*(tmp_path / "Yard" / "Door.JPG", tmp_path / "a[1].png"), tmp_path / "Yard", tmp_path / "Yard" / "%06d.png"]
    called = named([*map(str, sources), (tmp_path / "gate.png").as_uri(), "rtsp://10.0.0.7/a.jpg", "0", "film.mp4"])
    assert [*called] == ["door", "a-1", "yard", "yard-2", "gate", "10-0-0-7", "camera0", "film"]
