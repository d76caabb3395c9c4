"""What label files hold, asked before a network learns from them."""

import logging

import numpy as np
import pytest
from PIL import Image

from hrtoolkit.data.doctor import Subject, check_before_run
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.errors import DataError, OptionError, UserError
from hrtoolkit.records import join
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.segmentation import checks
from hrtoolkit.tasks.segmentation.datasets import SegmentationPairs
from hrtoolkit.tasks.segmentation.head import SegmentationHead
from hrtoolkit.tasks.segmentation.metric import SegmentationMetric
from hrtoolkit.tasks.segmentation.views import WholeImage

PALETTES = {"rising": [0, 0, 0, 255, 0, 0, 0, 255, 0], "other": [255, 0, 0, 0, 0, 0, 0, 255, 0]}


def write(folder, rows, palettes=None):
    """A label file of one row of pixels, and an image, for each row of values."""
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    for index, row in enumerate(rows):
        label = Image.fromarray(np.array([row], np.uint8))
        if palettes is not None:
            label.putpalette(PALETTES[palettes[index]])
        label.save(folder / "labels" / f"{index:03d}.png")
        Image.new("RGB", label.size).save(folder / "images" / f"{index:03d}.png")


def load(folder, scheme, **options):
    return SegmentationPairs(data_root=str(folder), scheme=scheme, image_dir="images", label_dir="labels", **options)


def told(folder, scheme, name="train", whole=True):
    return [str(finding) for finding in load(folder, scheme).check_labels(name, whole)]


def test_labels_of_every_class_are_passed(tmp_path):
    write(tmp_path, [[0, 1, 0], [1, 2, 2]], ["rising", "rising"])
    assert told(tmp_path, ["a", "b", "c"]) == []


@pytest.mark.parametrize(
    ("rows", "scheme", "said"),
    [
        ([[0, 255]], ["back", "object"], "stop: train data: all that counts in the 1 label files is back; classes "
         "without a pixel: 1 (object); the files hold the values 0, 255; 255 is ignored unless it is a class"),
        ([[255, 255]], ["back", "object"], "stop: train data: all is ignored in the 1 label files"),
        ([[1, 2], [2, 2]], ["a", "b", "c"], "warning: train data: classes without a pixel in the 2 label files: 1 (a); "
         "the files hold the values 1-2; do they count from 1?"),
        ([[1, 3], [2, 2]], ["a", "b", "c"], "label values 3 are neither classes (0-2) nor ignored (255); correct the "
         "file, or the dataset's scheme (ids, ignored)); correct the files; do they count from 1?"),
        ([[0, 1, 2, 11], [10, 8, 7, 255]], "cityscapes", "are they positions (trainIds), not ids?"),
        ([[0, 5, 1]], ["only"], "stop: train data: a class that is alone leaves nothing to decide: 1 (only)"),
    ],
    ids=["0 and 255", "ignored", "from 1, one absent", "from 1", "trainIds", "alone"],
)  # fmt: skip
def test_labels_that_teach_something_else_are_named_with_their_likely_cause(rows, scheme, said, tmp_path):
    write(tmp_path, rows)
    assert any(said in one for one in told(tmp_path, scheme)), told(tmp_path, scheme)


def test_what_validation_data_lack_is_no_more_than_a_note(tmp_path):
    write(tmp_path, [[0, 1, 255], [1, 1, 0]])
    (note,) = told(tmp_path, ["a", "b", "c"], "val")
    assert note.startswith("note: val data: classes without a pixel in the 2 label files: 1 (c)")


def test_training_is_refused_before_it_starts_and_says_what_was_looked_at(tmp_path, caplog, monkeypatch):
    write(tmp_path, [[0, 255]] * 3)
    with pytest.raises(DataError, match="object"):
        check_before_run(Subject({"train": load(tmp_path, ["back", "object"])}))
    write(tmp_path, [[0, 1]] * 150)
    with caplog.at_level(logging.INFO):
        check_before_run(Subject({"train": load(tmp_path, ["back", "object"])}))
    looked = int(caplog.text.rpartition("looked at ")[2].split()[0])
    assert checks.FEWEST <= looked < 150 and "150 label files: all classes" in caplog.text
    monkeypatch.setattr(checks, "SECONDS", 0.0)
    for names, level in ((["back", "object", "rare"], "note"), (["back", "object", "a", "b", "c"], "warning")):
        (finding,) = told(tmp_path, names, whole=False)  # a third may be missing by chance, most of them hardly
        assert finding.startswith(f"{level}: train data: classes without a pixel in") and "of 150 label" in finding


def test_values_of_sixteen_bits_are_counted(tmp_path):
    write(tmp_path, [[0, 0]])
    Image.fromarray(np.array([[300, 7]], np.uint16)).save(tmp_path / "labels" / "000.png")
    assert told(tmp_path, dict(names=["a", "b"], ids=[7, 300])) == []
    np.testing.assert_array_equal(checks.find_values(np.array([[300, 7, 7]], np.int32)), [7, 300])
    np.testing.assert_array_equal(checks.find_values(np.array([[30, 7, 7]], np.uint8)), [7, 30])


def test_palettes_that_disagree_are_told(tmp_path):
    write(tmp_path, [[0, 1], [0, 1], [2, 2]], ["rising", "other", "other"])
    (warning,) = told(tmp_path, ["a", "b", "c"])
    assert warning.startswith("warning: train data: label files whose palettes disagree: 1 (")
    assert "001.png: 0 has the color (255, 0, 0)" in warning and "002.png" not in warning  # 2 is green in both


def test_heads_refuse_a_class_that_is_alone():
    with pytest.raises(OptionError, match="'only' alone leaves nothing to decide"):
        SegmentationHead([4], [4], scheme=["only"])


def test_two_images_of_one_label_are_told_and_keep_names_of_their_own(tmp_path):
    write(tmp_path, [[0, 1], [1, 0]])
    Image.new("RGB", (2, 1)).save(tmp_path / "images" / "001.jpg")
    samples = load(tmp_path, ["a", "b"])
    assert samples.images.ids.tolist() == ["000", "001.jpg", "001.png"]
    (finding,) = samples.findings
    assert finding.what == "label files of more than one image" and "001.png: 001.jpg, 001.png" in finding.ids[0]


def test_files_of_an_operating_system_are_no_data(tmp_path):
    write(tmp_path, [[0, 1], [1, 0]])
    for name in ("images/._000.png", "labels/._001.png", "images/@eaDir/000.png", "labels/__MACOSX/000.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    samples = load(tmp_path, ["a", "b"])
    assert samples.images.ids.tolist() == ["000", "001"]
    assert {finding.level for finding in samples.findings} == {"note"}
    assert sum(finding.count for finding in samples.findings) == 4


def test_faulty_pairs_are_dropped_on_demand(tmp_path):
    write(tmp_path, [[0, 1], [1, 0], [1, 1]])
    (tmp_path / "labels" / "001.png").unlink()
    samples = load(tmp_path, ["a", "b"], faults="drop")
    assert samples.images.ids.tolist() == ["000", "002"] and samples.findings[0].level == "warning"
    (tmp_path / "a.lst").write_text("images/000.png labels/000.png\nimages/001.png\nimages/9.png labels/000.png\n")
    options = dict(data_root=str(tmp_path), scheme=["a", "b"], list_file="a.lst")
    with pytest.raises(DataError, match=r"(?s)line 2: images/001.png.*images that are not there: 1 .*9.png"):
        SegmentationPairs(**options).findings.raise_stops()
    samples = SegmentationPairs(**options, faults="drop")
    assert samples.images.ids.tolist() == ["images/000"] and {one.level for one in samples.findings} == {"warning"}


def test_results_of_absolute_lists_stay_apart_from_the_images(tmp_path):
    write(tmp_path, [[0, 1], [1, 0]])
    lines = [f"{tmp_path}/images/{i:03d}.png {tmp_path}/labels/{i:03d}.png\n" for i in (0, 1)]
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.lst").write_text("".join(lines))
    samples = SegmentationPairs(data_root=str(tmp_path / "root"), scheme=["a", "b"], list_file="a.lst")
    assert samples.images.ids.tolist() == ["000", "001"]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    inputs = Inputs(samples, WholeImage(), samples.scheme)
    for out in ("images", "labels", "."):  # the labels are the user's as well
        with pytest.raises(UserError, match="lie among the data"):
            Evaluation(inputs, [SegmentationMetric()], join, str(tmp_path / out))
    evaluation = Evaluation(inputs, [SegmentationMetric()], join, str(tmp_path / "predictions"))
    evaluation.add([0], [samples.truth(0)], [samples.truth(0)])
    evaluation.finish_samples([0])
    assert (tmp_path / "predictions" / "000.png").is_file()
    assert before == {path: path.read_bytes() for path in before}
