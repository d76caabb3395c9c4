"""SLEAP's labels and packages."""

import json

import cv2
import numpy as np
import pytest

from hrtoolkit.errors import DataError

from .importing import Read, write_image

h5py = pytest.importorskip("h5py")
NAN = float("nan")
FRAMES = [
    ("frame_id", "u8"),
    ("video", "u4"),
    ("frame_idx", "u8"),
    ("instance_id_start", "u8"),
    ("instance_id_end", "u8"),
]
INSTANCES = [
    ("instance_id", "i8"), ("instance_type", "u1"), ("frame_id", "u8"), ("skeleton", "u4"), ("track", "i4"),
    ("from_predicted", "i8"), ("score", "f4"), ("point_id_start", "u8"), ("point_id_end", "u8"),
    ("tracking_score", "f4"),
]  # fmt: skip
POINTS = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
EDGE = {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [1]}]}
MIRROR = {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [2]}]}
METADATA = {
    "nodes": [{"name": "tail"}, {"name": "head"}, {"name": "earL"}, {"name": "earR"}],
    "skeletons": [
        {
            "graph": {"name": "Skeleton-0"},
            "nodes": [{"id": 1}, {"id": 0}, {"id": 2}, {"id": 3}],
            "links": [
                {"source": 2, "target": 3, "type": MIRROR},
                {"source": 1, "target": 0, "type": EDGE},
                {"source": 3, "target": 2, "type": {"py/id": 1}},
                {"source": 1, "target": 2, "type": {"py/id": 2}},
            ],
        }
    ],
}
# Frames 5 and 9: a person's, a predicted one; frame 9 a predicted one alone.
ROWS = [(1, 2, True), (3, 4, False), (NAN, NAN, True), (5, 6, True)]


def write_labels(path, video, format_id=1.2, rows=ROWS, metadata=METADATA):
    with h5py.File(path, "w") as file:
        group = file.create_group("metadata")
        group.attrs["format_id"] = format_id
        group.attrs["json"] = np.bytes_(json.dumps(metadata))
        file["frames"] = np.array([(0, 0, 5, 0, 2), (1, 0, 9, 2, 3)], FRAMES)
        end = len(rows)
        file["instances"] = np.array(
            [(0, 0, 0, 0, 0, -1, NAN, 0, end, 0), (1, 1, 0, 0, -1, -1, 1, 0, 4, 0), (2, 1, 1, 0, -1, -1, 1, 0, 4, 0)],
            INSTANCES,
        )
        file["points"] = np.array([(x, y, visible, True) for x, y, visible in rows], POINTS)
        file["tracks_json"] = [np.bytes_('[0, "fly"]')]
        file["videos_json"] = [np.bytes_(json.dumps({"backend": video}))]
    return path


def embed(path, image, **attributes):
    with h5py.File(path, "a") as file:
        data = np.frombuffer(cv2.imencode(".png", image)[1].tobytes(), np.int8)
        frames = file.create_dataset("video3/video", (1,), dtype=h5py.vlen_dtype(np.int8))
        frames[0] = data
        frames.attrs.update({"format": "png", **attributes})
        file["video3/frame_numbers"] = [5]
        records = file["frames"][()]
        records["video"] = 3
        del file["frames"]
        file["frames"] = records


def test_labels_of_images(tmp_path):
    names = [f"C:\\data\\img{i}.png" for i in range(10)]
    write_image(tmp_path / "in/img5.png")
    path = write_labels(tmp_path / "in/labels.slp", {"filename": names[0], "filenames": names})
    read = Read(path, tmp_path / "out")
    assert read.names == {"animal": ["head", "tail", "earL", "earR"]}
    (one,) = read.of("img5.png")
    assert one["points"] == [(1, 2, 2), (3, 4, 1), (0, 0, 0), (5, 6, 2)] and one["attributes"] == {"track": "fly"}
    assert len(read.images) == 1 and "predicted instances: 1 (labels.slp: 2)" in read.text
    assert read.categories["animal"]["skeleton"] == [[1, 2], [1, 3]]
    assert read.categories["animal"]["mirrored"] == [["earL", "earR"]]


def test_older_files_are_half_a_pixel_off(tmp_path):
    write_image(tmp_path / "in/a.png")
    path = write_labels(tmp_path / "in/labels.slp", {"filename": "a.png"}, format_id=1.0)
    assert Read(path, tmp_path / "out").objects[0]["points"][0] == (0.5, 1.5, 2)


@pytest.mark.parametrize(("attributes", "red"), [({"channel_order": "RGB"}, 2), ({}, 0)])
def test_embedded_frames(tmp_path, attributes, red):
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., red] = 200  # OpenCV's last channel is red; before version 1.4 it was given RGB
    path = write_labels(tmp_path / "labels.pkg.slp", {"filename": ".", "dataset": "video3/video"})
    embed(path, image, **attributes)
    read = Read(path, tmp_path / "out")
    assert len(read.images) == 1
    written = cv2.imread(str(tmp_path / "out" / read.images[0]))
    assert written.shape == (48, 64, 3) and (written == (0, 0, 200)).all()


def test_frames_of_a_video(tmp_path):
    av = pytest.importorskip("av")
    (tmp_path / "in/films").mkdir(parents=True)
    with av.open(str(tmp_path / "in/films/one.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * number, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path = write_labels(tmp_path / "in/labels.slp", {"filename": "/home/me/films/one.mp4"})
    read = Read(path, tmp_path / "out")
    assert len(read.images) == 1 and "000005" in read.images[0]
    assert abs(cv2.imread(str(tmp_path / "out" / read.images[0])).mean() - 150) < 4


def test_faults(tmp_path):
    path = write_labels(tmp_path / "film.slp", {"filename": "gone.mp4"})
    with pytest.raises(DataError, match=r"videos that are not there: 1 \(film.slp: gone.mp4\); .*pkg.slp"):
        Read(path, tmp_path / "out")
    write_image(tmp_path / "a.png")
    path = write_labels(tmp_path / "short.slp", {"filename": "a.png"}, rows=ROWS[:3])
    with pytest.raises(DataError, match="other points than nodes"):
        Read(path, tmp_path / "out")
    path = write_labels(tmp_path / "damaged.slp", {"filename": "a.png"}, metadata={"nodes": []})
    with pytest.raises(DataError, match=r"damaged.slp: it cannot be read as the format has it .*skeletons"):
        Read(path, tmp_path / "out")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"damaged.slp: it cannot be read"):
        Read(path, tmp_path / "out")
