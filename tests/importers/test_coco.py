import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.importers import import_annotations

NAMES = ["left_eye", "right_eye", "nose"]


def content(annotations, images=None, categories=None):
    return {
        "images": images or [{"id": 5, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": categories or [{"id": 7, "name": "cat", "keypoints": NAMES, "skeleton": [[1, 2], [3, 9]]}],
        "annotations": annotations,
    }


def test_ids_coordinates_and_what_is_missing(export):
    export.picture("photos/a.jpg")
    annotations = [
        {"id": 3, "image_id": 5, "category_id": 7, "keypoints": [10.5, 20, 2, 30, 20, 1, 9, 9, 0], "track": 4},
        {"id": 9, "image_id": 5, "category_id": 7, "bbox": [1, 2, 30, 20], "segmentation": [[1, 2, 31, 2, 31, 22]]},
    ]
    export.write("instances.json", content(annotations))
    imported = import_annotations(export.folder, export.out)
    written = export.read()
    first, second = written["annotations"]
    assert written["images"] == [{"id": 5, "file_name": "../export/photos/a.jpg", "width": 64, "height": 48}]
    assert (first["id"], second["id"], first["category_id"]) == (3, 9, 7)
    assert first["keypoints"] == [10.5, 20, 2, 30, 20, 1, 0, 0, 0] and first["num_keypoints"] == 2
    assert first["bbox"] == pytest.approx([8.55, 18, 23.4, 4]), "a tenth of 19.5, and at least 4 = 64 / 16"
    assert first["area"] == pytest.approx(23.4 * 4) and second["area"] == 300
    assert "keypoints" not in second
    assert written["categories"] == [{"id": 7, "name": "cat", "keypoints": NAMES, "skeleton": [[1, 2]]}]
    assert "1 boxes taken from points" in str(imported) and "1 areas taken from outlines" in str(imported)


def test_a_split_has_a_file_of_its_own_and_ids_from_one(export):
    for split in ("train", "valid"):
        export.picture(f"{split}/1.jpg")
        image = {"id": 0, "file_name": "1.jpg", "width": 64, "height": 48}
        one = {"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}
        categories = [
            {"id": 0, "name": "pets", "supercategory": "none"},
            {"id": 1, "name": "cat", "supercategory": "pets"},
        ]
        export.write(f"{split}/_annotations.coco.json", content([one], [image], categories))
    import_annotations(export.folder, export.out)
    train, val = export.read("train"), export.read("val")
    assert train["images"][0]["file_name"] == "../export/train/1.jpg"
    assert val["images"][0]["file_name"] == "../export/valid/1.jpg"
    assert train["annotations"][0]["id"] == 1, "COCO's metric never finds 0"
    assert [one["name"] for one in train["categories"]] == ["cat"], "Roboflow's first class is the project"


def test_keypoints_and_objects_of_one_split_are_read_once(export):
    export.picture("a.jpg")
    one = {"id": 1, "image_id": 5, "category_id": 7, "bbox": [1, 1, 9, 9], "keypoints": [2, 2, 2, 3, 3, 2, 4, 4, 2]}
    export.write("annotations/instances_train2017.json", content([{**one, "keypoints": None}]))
    export.write("annotations/person_keypoints_train2017.json", content([one]))
    imported = import_annotations(export.folder, export.out)
    assert imported.objects.total() == 1 and imported.points.total() == 1
    assert "instances_train2017.json" in str(imported.findings[0])


def test_everything_that_is_wrong_is_said_at_once(export):
    export.picture("a.jpg")
    annotations = [
        {"id": 1, "image_id": 5, "category_id": 7, "bbox": [1, 1, "9", 9]},
        {"id": 2, "image_id": 6, "category_id": 7, "bbox": [1, 1, 9, 9]},
        {"id": 3, "image_id": 5, "category_id": 8, "bbox": [1, 1, 9, 9]},
        {"id": 4, "image_id": 5, "category_id": 7, "bbox": [1, 1, 9, 9], "keypoints": [1, 1, 2]},
    ]
    file = export.write("data.json", content(annotations))
    with pytest.raises(DataError) as caught:
        import_annotations(export.folder, export.out)
    assert "data.json, id 1" in str(caught.value) and str(export.folder) in str(caught.value)
    file.write_text(file.read_text().replace('"9"', "9"))
    with pytest.raises(DataError) as caught:
        import_annotations(export.folder, export.out)
    for text in ("image 6", "data.json, id 3", "are not 3 times x, y, visibility: 1 (data.json, id 4)"):
        assert text in str(caught.value)


def test_label_studio_has_boxes_and_keypoints_as_two_annotations(export):
    export.picture("images/a.jpg")
    categories = [{"id": 0, "name": "person"}, {"id": 1, "name": "default", "keypoints": NAMES}]
    annotations = [
        {"id": 0, "image_id": 5, "category_id": 0, "bbox": [0, 0, 60, 40]},
        {"id": 1, "image_id": 5, "category_id": 0, "bbox": [5, 5, 30, 30]},
        {
            "id": 2,
            "image_id": 5,
            "category_id": 1,
            "bbox": [10, 10, 9, 9],
            "keypoints": [10, 10, 2, 19, 19, 2, 0, 0, 0],
        },
    ]
    images = [{"id": 5, "file_name": "/data/upload/18/a.jpg", "width": 64, "height": 48}]
    export.write("result.json", content(annotations, images, categories))
    imported = import_annotations(export.folder, export.out)
    large, small = export.read()["annotations"]
    assert "keypoints" not in large and small["num_keypoints"] == 2 and small["bbox"] == [5, 5, 30, 30]
    assert [one["name"] for one in export.read()["categories"]] == ["person"]
    assert "--no-join" in str(imported)
    import_annotations(export.folder, export.out, join=False)
    assert len(export.read()["annotations"]) == 3
