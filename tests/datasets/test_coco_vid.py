import json

import pytest

from dff.datasets import CocoVIDDataset


def edited(root, change):
    content = json.loads((root / 'vid.json').read_text())
    change(content)
    (root / 'vid.json').write_text(json.dumps(content))
    return root


def read(root, **kwargs):
    return CocoVIDDataset(ann_file='vid.json', data_root=str(root), **kwargs)


def test_classes_come_from_the_file_and_labels_follow(make_vid_set):
    data = read(make_vid_set((2,)))
    assert data.metainfo['classes'] == ('cat', 'dog')
    info = data.get_data_info(0)
    assert [item['bbox_label'] for item in info['instances']] == [0, 1]
    assert info['instances'][0]['bbox'] == [4, 6, 24, 24]
    assert data.get_cat_ids(0) == [0, 1]


def test_class_names_that_do_not_fit(make_vid_set):
    root = make_vid_set((1,))
    with pytest.raises(ValueError, match=r"classes \['cow'\] are not among"):
        read(root, metainfo=dict(classes=('cat', 'cow')))
    with pytest.raises(ValueError, match=r'must be in the order.*cat.*dog'):
        read(root, metainfo=dict(classes=('dog', 'cat')))
    with pytest.raises(ValueError, match="unknown class 'cat'"):
        read(root, metainfo=dict(classes=('dog',)))
    dogs = read(root, metainfo=dict(classes=('dog',)), allow_other_classes=True)
    assert dogs.get_cat_ids(0) == [0]


def test_unknown_category_names_annotation_and_image(make_vid_set):
    def change(content):
        content['annotations'][1]['category_id'] = 3

    root = edited(make_vid_set((1,)), change)
    with pytest.raises(ValueError, match=r"annotation 2 on .*000000.png.*'id 3'"):
        read(root)


def test_annotation_of_an_image_that_is_not_there(make_vid_set):
    def change(content):
        content['annotations'][0]['image_id'] = 77

    root = edited(make_vid_set((1,)), change)
    with pytest.raises(ValueError, match='annotation 1 names image 77'):
        read(root)


def test_boxes_are_clipped_and_empty_ones_counted(make_vid_set):
    boxes = {
        1: [-5, 40, 20, 30],  # reaches over the left and lower border
        2: [64, 10, 9, 9],  # outside
        3: [5, 5, 0, 9],  # no width
        4: [5, 5, -3, 9],  # negative width
    }

    def change(content):
        for annotation in content['annotations']:
            annotation['bbox'] = boxes[annotation['id']]

    data = read(edited(make_vid_set((2,)), change))
    assert data.num_dropped_boxes == 3
    kept = [
        item['bbox'] for i in range(2) for item in data.get_data_info(i)['instances']
    ]
    assert kept == [[0, 40, 15, 48]]


def test_unlabelled_and_empty_are_different(make_vid_set):
    def change(content):
        del content['images'][0]['is_labelled']
        content['images'][1]['is_labelled'] = False
        del content['images'][2]['is_labelled']
        content['images'][2]['is_vid_train_frame'] = False

    root = edited(make_vid_set((4,), is_empty=lambda video, frame: frame == 3), change)
    data = read(root)
    infos = [data.get_data_info(i) for i in range(4)]
    assert [info['is_labelled'] for info in infos] == [True, False, False, True]
    assert [len(info['instances']) for info in infos] == [2, 0, 0, 0]


def test_crowd_is_ignored_not_background(make_vid_set):
    def change(content):
        content['annotations'][0]['iscrowd'] = 1

    data = read(edited(make_vid_set((1,)), change))
    flags = [item['ignore_flag'] for item in data.get_data_info(0)['instances']]
    assert flags == [1, 0]


def test_label_maps_are_named(make_vid_set):
    data = read(make_vid_set((1,)), data_prefix=dict(img='', seg='labels'))
    assert data.get_data_info(0)['seg_map_path'].endswith('labels/video_0/000000.png')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('images'), 'must hold the lists'),
        (lambda c: c['images'][0].pop('frame_id'), 'needs an int frame_id, got None'),
        (lambda c: c['images'][0].update(video_id=9), 'names video 9'),
        (lambda c: c['images'][1].update(id=0), 'image ids twice'),
        (lambda c: c['categories'][1].update(name='cat'), "categories .'cat'. twice"),
    ],
)
def test_contradictions_are_errors(make_vid_set, change, message):
    with pytest.raises(ValueError, match=message):
        read(edited(make_vid_set((2,)), change))
