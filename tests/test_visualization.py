"""Pictures: what is drawn where, and what must not disturb."""

import cv2
import numpy as np
import pytest

from hrtoolkit import visualization
from hrtoolkit.errors import UserError
from hrtoolkit.runtime import drawing
from hrtoolkit.schemes import ClassScheme, KeypointScheme
from hrtoolkit.schemes.people import COCO, MPII

SCHEME = KeypointScheme(
    names=("nose", "left_hand", "right_hand"),
    mirrored=(("left_hand", "right_hand"),),
    skeleton=(("nose", "left_hand"), ("left_hand", "right_hand")),
)
PERSON = np.array([[[20.0, 10.0], [80.0, 50.0], [20.0, 50.0]]])
ALL_VISIBLE = np.ones((1, 3), bool)


def blank(height: int = 60, width: int = 100) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_a_line_passes_through_the_middle_of_its_ends_and_the_input_stays():
    image = blank()
    drawn = drawing.draw_keypoints(image, PERSON, ALL_VISIBLE, SCHEME)
    assert drawn[30, 50].any() and drawn[50, 50].any()  # nose to left hand, hand to hand
    assert not drawn[30, 20].any()  # nose and right hand are not joined
    assert not image.any()


def test_the_two_sides_differ_in_colour_unless_one_colour_is_asked_for():
    drawn = drawing.draw_keypoints(blank(), PERSON, ALL_VISIBLE, SCHEME)
    for (x, y), color in zip(PERSON[0].astype(int), (drawing.SINGLE, drawing.LEFT, drawing.RIGHT), strict=True):
        np.testing.assert_array_equal(drawn[y, x], color)
    drawn = drawing.draw_keypoints(blank(), PERSON, ALL_VISIBLE, SCHEME, color=(255, 255, 255))
    assert (drawn[..., 0] == drawn[..., 2]).all() and drawn[10, 20, 0] == 255


def test_a_line_needs_both_ends():
    drawn = drawing.draw_keypoints(blank(), PERSON, np.array([[True, False, True]]), SCHEME)
    assert not drawn[30, 50].any() and not drawn[50, 80].any()
    assert drawn[10, 20].any() and drawn[50, 20].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e12])
def test_points_that_cannot_be_drawn_are_left_out(bad):
    keypoints = PERSON.copy()
    keypoints[0, 1] = bad
    without = drawing.draw_keypoints(blank(), PERSON, np.array([[True, False, True]]), SCHEME)
    np.testing.assert_array_equal(drawing.draw_keypoints(blank(), keypoints, ALL_VISIBLE, SCHEME), without)
    drawing.draw_boxes(blank(), np.array([[bad, 0, 10, 10], [0, 0, bad, 10]]), ["a", "b"])


def test_nobody_and_a_mirrored_view_are_images_too():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)[:, ::-1]
    nobody = drawing.draw_keypoints(image, np.zeros((0, 3, 2)), np.zeros((0, 3), bool), SCHEME)
    np.testing.assert_array_equal(nobody, image)
    np.testing.assert_array_equal(drawing.draw_boxes(image, np.zeros((0, 4)), []), image)


def test_wrong_images_and_shapes_are_named():
    with pytest.raises(ValueError, match=r"RGB uint8 array \[H, W, 3\], got float64 \[60, 100, 3\]"):
        drawing.draw_keypoints(blank() / 255, PERSON, ALL_VISIBLE, SCHEME)
    with pytest.raises(ValueError, match=r"scheme of 3 names, got \[1, 2, 2\]"):
        drawing.draw_keypoints(blank(), PERSON[:, :2], ALL_VISIBLE, SCHEME)
    with pytest.raises(ValueError, match="1 names for 2 boxes"):
        drawing.draw_boxes(blank(), np.ones((2, 4)), ["one"])


def test_a_box_runs_along_its_outermost_pixels():
    drawn = drawing.draw_boxes(blank(), np.array([[10, 20, 40, 35]]), colors=(255, 0, 0))
    rows, columns = np.nonzero(drawn[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 34, 10, 39)
    assert not drawn[27, 25].any()


def test_a_sheet_has_whole_rows_of_tiles_and_keeps_aspects():
    white = np.full((20, 40, 3), 255, np.uint8)
    sheet = drawing.make_sheet([white] * 5, columns=3, tile_hw=(40, 40), captions=list("abcde"))
    assert sheet.shape == (2 * (40 + drawing.CAPTION_HEIGHT), 3 * 40, 3)
    # 20 x 40 fits a 40 x 40 tile as it is, in its middle rows.
    assert (sheet[10:30, :40] == 255).all() and (sheet[:10, :40] < 50).all()
    assert drawing.make_sheet([white, blank(30, 10)]).shape == (30, 80, 3)
    with pytest.raises(ValueError, match="got 0 images"):
        drawing.make_sheet([])


def test_an_image_comes_back_in_rgb(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    visualization.write_image(tmp_path / "new" / "image.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "image.png"))[..., ::-1], image)
    assert len(list((tmp_path / "new").iterdir())) == 1  # nothing temporary is left


def test_an_image_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"image\.txt: .*\.png or \.jpg"):
        visualization.write_image(tmp_path / "image.txt", blank())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"image\.png: could not be written: .*/file is a file, not a folder"):
        visualization.write_image(tmp_path / "file" / "image.png", blank())


def test_each_curve_gets_a_panel_even_with_gaps(tmp_path):
    curves = {name: [(0, 1.0), (1, float("nan")), (2, 0.5)] for name in ("loss", "AP", "rate", "norm")}
    visualization.plot_curves(curves, tmp_path / "curves.png", xlabel="epoch")
    four = cv2.imread(str(tmp_path / "curves.png"))
    visualization.plot_curves({"loss": curves["loss"]}, tmp_path / "curves.png")
    one = cv2.imread(str(tmp_path / "curves.png"))
    assert four.shape[0] == 2 * one.shape[0]  # three panels a row


def test_the_headline_is_large_and_its_best_marked(tmp_path):
    def plot(name, **options):
        curves = {"loss": [(1, 1.0), (2, 0.5)], "AP": [(1, 0.1), (2, 0.3)], "AP_L": [(1, -1), (2, -1)]}
        visualization.plot_curves(curves, tmp_path / name, xlabel="epoch", **options)
        return cv2.imread(str(tmp_path / name))

    plain, large = plot("plain.png"), plot("large.png", first=("loss", "AP"))
    assert large.shape[0] == 2 * plain.shape[0]  # nothing is left for a row of small ones: AP_L says nothing
    marked = plot("marked.png", first=("loss", "AP"), best=("AP", 2))
    middle = large.shape[1] // 2
    assert (marked[:, :middle] == large[:, :middle]).all() and (marked[:, middle:] != large[:, middle:]).any()


def test_classes_of_a_label_map_are_named_in_their_colors():
    scheme = ClassScheme(("ground", "tree"), palette=((10, 20, 30), (250, 240, 10)))
    labels = np.zeros((200, 300), np.uint8)
    named = drawing.draw_label_map(blank(200, 300), labels, scheme)
    assert (named[100:, 200:] == named[150, 250]).all() and (named[:30, :90] == scheme.palette[0]).all(-1).any()
    labels[:5, :5] = 1
    few = drawing.draw_label_map(blank(200, 300), labels, scheme)
    assert not (few[:60, :90] == scheme.palette[1]).all(-1).any()  # 25 pixels are not worth a line


def test_left_and_right_have_the_same_colors_in_every_scheme():
    for scheme, left in ((COCO, "left_wrist"), (MPII, "left_wrist")):
        points = np.full((1, len(scheme.names), 2), np.nan)
        points[0, scheme.names.index(left)] = 50, 40
        drawn = drawing.draw_keypoints(blank(), points, np.ones((1, len(scheme.names)), bool), scheme)
        assert tuple(drawn[40, 50]) == drawing.LEFT


def test_a_heatmap_lies_over_the_image_where_its_cells_are():
    image = np.full((60, 100, 3), 100, np.uint8)
    heatmap = np.zeros((15, 25), np.float32)
    heatmap[5, 10] = 1
    drawn = visualization.draw_heatmap(image, heatmap, scale=(4, 4))
    np.testing.assert_array_equal(drawn[20, 40], (128, 0, 0))  # opaque, and red
    untouched = np.ones((60, 100), bool)
    untouched[17:24, 37:44] = False  # linear between neighbouring cells
    np.testing.assert_array_equal(drawn[untouched], image[untouched])
    assert image.min() == 100
