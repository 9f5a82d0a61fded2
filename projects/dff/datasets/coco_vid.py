"""Video frames from a CocoVID JSON file."""

import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Mapping

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from .cocovid_file import read_cocovid

MIN_BOX_SIDE = 1.0  # pixels, as in MMDetection's CocoDataset


@DATASETS.register_module()
class CocoVIDDataset(BaseDataset):
    """Read one item per frame, in the order of the file.

    No frame is ever removed. A frame without boxes is annotated and empty, unless its
    image has `is_labelled: false` (or `is_vid_train_frame: false`): then it is not
    annotated. Images without `video_id` are stills. If `metainfo` names no classes,
    the file does. With `data_prefix=dict(img=..., seg=...)` each frame also has a
    label map, `seg` + file name + '.png'.

    Boxes are clipped to the image. A box with a side below one pixel is dropped and
    counted in `num_dropped_boxes`.
    """

    def __init__(
        self,
        ann_file: str,
        *args,
        backend_args: dict | None = None,
        seg_map_suffix: str = '.png',
        allow_other_classes: bool = False,
        **kwargs,
    ) -> None:
        """Read the file.

        Args:
            ann_file: CocoVID JSON file, relative to `data_root`.
            *args: As for mmengine's `BaseDataset`.
            backend_args: File backend of the JSON file.
            seg_map_suffix: Suffix of the label maps.
            allow_other_classes: Whether to drop boxes of classes that
                `metainfo['classes']` does not name, instead of raising an error.
            **kwargs: As for mmengine's `BaseDataset`.
        """
        self.backend_args = backend_args
        self.seg_map_suffix = seg_map_suffix
        self.allow_other_classes = allow_other_classes
        self.num_dropped_boxes = 0
        super().__init__(ann_file, *args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read all frames.

        Returns:
            One dict per frame: img_path, img_id, height, width, instances and,
            for videos, video_id, video_name, frame_id, is_labelled.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If the file is damaged, or contradicts itself or `metainfo`.
        """
        content = read_cocovid(self.ann_file, backend_args=self.backend_args)
        if not content['images']:
            raise ValueError(f'{self.ann_file} holds no images')
        labels = self._label_of_category(content['categories'])
        annotations = self._annotations_by_image(content)
        names = {video['id']: video['name'] for video in content['videos']}
        frames = [
            self._parse_image(image, annotations[image['id']], labels, names)
            for image in content['images']
        ]
        if self.num_dropped_boxes:
            print_log(
                f'{self.ann_file}: dropped {self.num_dropped_boxes} boxes with less '
                'than one pixel inside their image',
                logger='current',
            )
        return frames

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of the boxes of one frame."""
        return [item['bbox_label'] for item in self.get_data_info(idx)['instances']]

    def _label_of_category(self, categories: list[dict]) -> dict[int, int]:
        """Map category ids to labels, and check the classes against the file.

        COCO metrics of MMDetection expect labels in the file's order of categories.
        Another order in `metainfo` would give wrong scores without an error.
        """
        known = [category['name'] for category in categories]
        repeated = [name for name, count in Counter(known).items() if count > 1]
        if repeated:
            raise ValueError(f'{self.ann_file} names categories {repeated} twice')
        classes = self._metainfo.setdefault('classes', tuple(known))
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise ValueError(
                f'classes {unknown} are not among the categories {known} of '
                f'{self.ann_file}'
            )
        expected = [name for name in known if name in classes]
        if list(classes) != expected:
            raise ValueError(
                f'classes must be in the order of {self.ann_file}: expected '
                f'{expected}, got {list(classes)}'
            )
        self._category_names = {c['id']: c['name'] for c in categories}
        label = {name: i for i, name in enumerate(classes)}
        return {c['id']: label[c['name']] for c in categories if c['name'] in label}

    def _annotations_by_image(self, content: Mapping) -> dict[int, list[dict]]:
        image_ids = Counter(image['id'] for image in content['images'])
        repeated = [image_id for image_id, count in image_ids.items() if count > 1]
        if repeated:
            raise ValueError(f'{self.ann_file} holds image ids twice: {repeated[:5]}')
        annotations = defaultdict(list)
        for annotation in content['annotations']:
            if annotation['image_id'] not in image_ids:
                raise ValueError(
                    f'{self.ann_file}: annotation {annotation.get("id")} names image '
                    f'{annotation["image_id"]}, which the file does not hold'
                )
            annotations[annotation['image_id']].append(annotation)
        return annotations

    def _parse_image(
        self,
        image: dict,
        annotations: list[dict],
        labels: dict[int, int],
        video_names: dict,
    ) -> dict:
        prefix = self.data_prefix.get('img', self.data_prefix.get('img_path', ''))
        info = dict(
            img_path=osp.join(prefix, image['file_name']),
            img_id=image['id'],
            height=image['height'],
            width=image['width'],
            instances=[],
        )
        if self.data_prefix.get('seg'):
            stem = osp.splitext(image['file_name'])[0]
            info['seg_map_path'] = osp.join(
                self.data_prefix['seg'], stem + self.seg_map_suffix
            )
        is_labelled = image.get('is_labelled', image.get('is_vid_train_frame', True))
        if 'video_id' in image:
            info.update(self._video_info(image, video_names), is_labelled=is_labelled)
        if is_labelled:
            parsed = (self._parse_box(item, info, labels) for item in annotations)
            info['instances'] = [item for item in parsed if item is not None]
        return info

    def _video_info(self, image: dict, video_names: dict) -> dict:
        video_id = image['video_id']
        if not isinstance(image.get('frame_id'), int):
            raise ValueError(
                f'{self.ann_file}: image {image["file_name"]} of video {video_id} '
                f'needs an int frame_id, got {image.get("frame_id")!r}'
            )
        if video_names and video_id not in video_names:
            raise ValueError(
                f'{self.ann_file}: image {image["file_name"]} names video '
                f'{video_id}, which the list of videos does not hold'
            )
        name = video_names.get(video_id, str(video_id))
        return dict(video_id=video_id, frame_id=image['frame_id'], video_name=name)

    def _parse_box(
        self, annotation: dict, info: dict, labels: dict[int, int]
    ) -> dict | None:
        """Return the instance, or None if the box is dropped."""
        category = annotation['category_id']
        if category not in labels:
            if category in self._category_names and self.allow_other_classes:
                return None
            name = self._category_names.get(category, f'id {category}')
            raise ValueError(
                f'{self.ann_file}: annotation {annotation.get("id")} on '
                f'{info["img_path"]} has the unknown class {name!r}, classes are '
                f'{list(self._metainfo["classes"])} (allow_other_classes=True drops '
                'such boxes)'
            )
        x, y, w, h = annotation['bbox']
        x1, x2 = (min(max(v, 0), info['width']) for v in (x, x + w))
        y1, y2 = (min(max(v, 0), info['height']) for v in (y, y + h))
        if x2 - x1 < MIN_BOX_SIDE or y2 - y1 < MIN_BOX_SIDE:
            self.num_dropped_boxes += 1
            return None
        is_ignored = annotation.get('iscrowd', 0) or annotation.get('ignore', 0)
        instance = dict(
            bbox=[float(x1), float(y1), float(x2), float(y2)],
            bbox_label=labels[category],
            ignore_flag=int(bool(is_ignored)),
            instance_id=annotation.get('instance_id', -1),
        )
        if annotation.get('segmentation'):
            instance['mask'] = annotation['segmentation']
        return instance
