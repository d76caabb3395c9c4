"""DeepLabCut's tables of labels."""

import sys

import pytest

from hrtoolkit.errors import DataError, UserError

from .importing import Read, write, write_image

SINGLE = "scorer,Ann,Ann,Ann,Ann\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"
SEVERAL = (
    "scorer,,,Ann,Ann,Ann,Ann,Ann,Ann\nindividuals,,,m1,m1,m2,m2,single,single\n"
    "bodyparts,,,nose,nose,nose,nose,door,door\ncoords,,,x,y,x,y,x,y\n"
)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    for video in ("one", "two"):
        for number in range(3):
            write_image(folder / f"labeled-data/{video}/img{number}.png")
    rows = "labeled-data/one/img0.png,1.5,2,3,4\nlabeled-data/one/img1.png,,,5,6\nlabeled-data/one/img2.png,,,,\n"
    write(folder / "labeled-data/one/CollectedData_Ann.csv", SINGLE + rows)
    return folder


def test_single_animal(project, tmp_path):
    write(project / "config.yaml", "bodyparts: [nose, tail]\nskeleton: [[nose, tail], [nose, gone]]\n")
    read = Read(project, tmp_path / "out")
    assert [one["points"] for one in read.objects] == [[(1.5, 2, 2), (3, 4, 2)], [(0, 0, 0), (5, 6, 2)]]
    assert read.names == {"animal": ["nose", "tail"]} and len(read.images) == 3  # one without a label is a picture
    assert read.categories["animal"]["skeleton"] == [[1, 2]]


def test_several_animals_and_parts_that_are_there_once(project, tmp_path):
    rows = "labeled-data,two,img0.png,1,2,3,4,5,6\nlabeled-data,two,img1.png,,,7,8,,\n"
    table = write(project / "labeled-data/two/CollectedData_Ann.csv", SEVERAL + rows)
    read = Read(table, tmp_path / "out")
    assert [(one["label"], one["points"], one.get("attributes")) for one in read.objects] == [
        ("animal", [(1, 2, 2)], {"track": "m1"}),
        ("animal", [(3, 4, 2)], {"track": "m2"}),
        ("single", [(5, 6, 2)], None),
        ("animal", [(7, 8, 2)], {"track": "m2"}),
    ]
    assert read.names == {"animal": ["nose"], "single": ["door"]}


def test_several_videos_with_equal_names_and_slashes_of_windows(project, tmp_path):
    rows = "labeled-data\\two\\img0.png,9,8,7,6\n"
    write(project / "labeled-data/two/CollectedData_Ann.csv", SINGLE + rows)
    repeated = SINGLE + "labeled-data/two/img0.png,9,8,7,6\n"
    write(project / "training-datasets/iteration-0/Unaugmented/CollectedData_Ann.csv", repeated)
    read = Read(project, tmp_path / "out")
    assert len(read.images) == 4 and len(read.objects) == 3
    assert read.images[3].endswith("labeled-data/two/img0.png")
    assert "training sets" in read.text


def write_h5(path):
    """The layout that pandas writes, without pandas."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        table = file.create_group("df_with_missing")
        table.attrs["nblocks"] = 1
        for axis in ("axis0", "block0_items"):
            for level, (names, places) in enumerate(
                [([b"Ann"], [0] * 4), ([b"nose", b"tail"], [1, 1, 0, 0]), ([b"x", b"y"], [0, 1, 0, 1])]
            ):
                table[f"{axis}_level{level}"], table[f"{axis}_label{level}"] = names, places
        for level, (names, places) in enumerate(
            [([b"labeled-data"], [0, 0]), ([b"one"], [0, 0]), ([b"img0.png", b"img1.png"], [1, 0])]
        ):
            table[f"axis1_level{level}"], table[f"axis1_label{level}"] = names, places
        table["block0_values"] = [[1.0, 2, 3, 4], [float("nan"), float("nan"), 7, 8]]
    return path


def test_h5_alone(project, tmp_path):
    (project / "labeled-data/one/CollectedData_Ann.csv").unlink()
    write_h5(project / "labeled-data/one/CollectedData_Ann.h5")
    read = Read(project, tmp_path / "out")
    assert read.names == {"animal": ["tail", "nose"]}
    assert [(one["image"], one["points"]) for one in read.objects] == [
        ("img1.png", [(1, 2, 2), (3, 4, 2)]),
        ("img0.png", [(0, 0, 0), (7, 8, 2)]),
    ]


def test_h5_beside_a_csv(project, tmp_path):
    write_h5(project / "labeled-data/one/CollectedData_Ann.h5")
    read = Read(project, tmp_path / "out")
    assert len(read.objects) == 2 and "h5 files beside a csv" in read.text


def test_h5_without_h5py(project, tmp_path, monkeypatch):
    table = write_h5(project / "labeled-data/one/CollectedData_Ann.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"HDF5 files need h5py .*hrtoolkit\[imports\]"):
        Read(table, tmp_path / "out")


def test_predictions_are_left_out(project, tmp_path):
    heads = "scorer,D,D,D\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n"
    write(project / "videos/oneDLC_resnet50.csv", heads + "0,1,2,0.9\n")
    read = Read(project, tmp_path / "out")
    assert len(read.objects) == 2 and "tables beside CollectedData" in read.text
    with pytest.raises(DataError, match=r"nothing is annotated(.|\n)*predictions"):
        Read(project / "videos", tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SINGLE.replace("Ann,Ann\n", "Bob,Bob\n") + "a/b/img0.png,1,2,3,4\n", r"labels of 2 scorers \(Ann, Bob\)"),
        (SINGLE + "a/b/img0.png,1,2,3\n", "line 4 has 4 cells, its top has 5"),
        (SINGLE + "a/b/img0.png,1,two,3,4\n", r"hold no number(.|\n)*line 4, nose: 'two'"),
        (SINGLE + "a/b/img0.png,1,,3,4\n", "one coordinate of two.*line 4, nose"),
        ("scorer,Ann,Ann\nbodyparts,nose,nose\n", "no row called coords"),
        ("scorer,Ann,Ann\ncoords,x,y\n", "expected rows called scorer, bodyparts and coords"),
        (SINGLE, "nothing is annotated in 0 pictures"),
    ],
)
def test_faults(tmp_path, text, message):
    table = write(tmp_path / "in/CollectedData_Ann.csv", text)
    write_image(tmp_path / "in/img0.png")
    with pytest.raises(DataError, match=message):
        Read(table, tmp_path / "out")


def test_two_tables_of_one_folder(project, tmp_path):
    write(project / "labeled-data/one/CollectedData_Bob.csv", SINGLE)
    with pytest.raises(DataError, match=r"two tables of labels, CollectedData_Ann.csv and CollectedData_Bob.csv"):
        Read(project, tmp_path / "out")
