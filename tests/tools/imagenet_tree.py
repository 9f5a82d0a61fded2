"""A miniature of ILSVRC2015 in the official layout: textured boxes that move.

Data/{VID,DET}, Annotations/{VID,DET} and the lists of the authors' release in
ImageSets, named and nested as in the download; frames of 128 x 96.
"""

import cv2
import numpy as np

SIZE = (128, 96)  # width, height
BOX = 48  # pixels a side
# wnid, class
CAR, DOG, ZEBRA, BIRD = 'n02958343', 'n02084071', 'n02391049', 'n01503061'
ACCORDION = 'n02672831'  # of DET's other 170 classes

TRAIN = 'train/ILSVRC2015_VID_train_{:04d}/ILSVRC2015_train_{:08d}'
VAL = 'val/ILSVRC2015_val_{:08d}'
# snippet: (wnid, frames, pixels a frame)
VID = {
    TRAIN.format(0, 0): (CAR, 18, 3),
    TRAIN.format(0, 1000): (DOG, 6, 1),
    TRAIN.format(3, 1086000): (ZEBRA, 16, 2),
    VAL.format(0): (CAR, 12, 0),  # slow: motion IoU 1
    VAL.format(1): (DOG, 9, 1),  # medium
    VAL.format(7010): (ZEBRA, 7, 11),  # fast: IoU of neighbours 0.63
}
# image: wnids
DET = {
    'train/ILSVRC2013_train/n02084071/n02084071_10003': (DOG, ACCORDION),
    'train/ILSVRC2013_train/n02391049/n02391049_9': (ZEBRA,),
    'train/ILSVRC2014_train_0000/ILSVRC2014_train_00000663': (CAR, BIRD),
    'train/ILSVRC2014_train_0000/ILSVRC2014_train_00000664': (BIRD,),  # not listed
    'train/ILSVRC2013_train_extra0/ILSVRC2013_train_00000001': (),
    'val/ILSVRC2012_val_00000001': (CAR,),
}
NOT_LISTED = tuple(name for name in DET if name.endswith('664') or 'extra' in name)


def write_tree(root):
    """Write the tree."""
    rng = np.random.default_rng(0)
    textures = {
        wnid: rng.integers(0, 256, (BOX, BOX, 3), np.uint8)
        for wnid in (CAR, DOG, ZEBRA, BIRD, ACCORDION)
    }
    for snippet, (wnid, length, speed) in VID.items():
        for frame in range(length):
            corners = [(4 + speed * frame, 20)]
            name = f'{snippet}/{frame:06d}'
            _write(root, 'VID', name, [wnid], corners, textures)
    for name, wnids in DET.items():
        corners = [(6, 10), (70, 40)][: len(wnids)]
        _write(root, 'DET', name, wnids, corners, textures)
    _write_lists(root / 'ImageSets')


def _write_lists(folder):
    """Write the lists as the release has them: 15 frames a snippet, or all."""
    folder.mkdir()
    vid, frames, videos, count = [], [], [], 1
    for snippet, (_, length, _) in VID.items():
        if snippet.startswith('train/'):
            picks = sorted({int((i + 0.5) * length / 15) for i in range(15)})
            vid += [f'{snippet} 1 {frame} {length}' for frame in picks]
            continue
        videos.append(f'{snippet} {count} 0 {length}')
        frames += [f'{snippet}/{i:06d} {count + i}' for i in range(length)]
        count += length
    stills = [f'{n} 1' for n in DET if n.startswith('train/') and n not in NOT_LISTED]
    lists = dict(
        VID_train_15frames=vid,
        DET_train_30classes=stills,
        VID_val_videos=videos,
        VID_val_frames=frames,
    )
    for name, lines in lists.items():
        (folder / f'{name}.txt').write_text('\n'.join(lines) + '\n')


def _write(root, kind, name, wnids, corners, textures):
    """Write one JPEG and its XML, with the tags that the download has."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    items = ''
    for track, (wnid, (x, y)) in enumerate(zip(wnids, corners, strict=True)):
        patch = image[y : y + BOX, x : x + BOX]
        patch[:] = textures[wnid][: patch.shape[0], : patch.shape[1]]
        x2, y2 = min(x + BOX, SIZE[0] - 1), min(y + BOX, SIZE[1] - 1)
        box = (
            f'<bndbox><xmax>{x2}</xmax><xmin>{x}</xmin><ymax>{y2}</ymax>'
            f'<ymin>{y}</ymin></bndbox>'
        )
        items += f'<object><name>{wnid}</name>{box}</object>'
        if kind == 'VID':
            items = items.replace(
                f'<object><name>{wnid}</name>{box}',
                f'<object><trackid>{track}</trackid><name>{wnid}</name>{box}'
                '<occluded>0</occluded><generated>0</generated>',
            )
    folder, _, file_name = name.rpartition('/')
    xml = (
        f'<annotation><folder>{folder.partition("/")[2]}</folder><filename>{file_name}'
        '</filename><source><database>ILSVRC_2015</database></source><size>'
        f'<width>{SIZE[0]}</width><height>{SIZE[1]}</height></size>{items}</annotation>'
    )
    for base, suffix in (('Data', '.JPEG'), ('Annotations', '.xml')):
        path = root / base / kind / f'{name}{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == '.xml':
            path.write_text(xml)
        else:
            path.write_bytes(cv2.imencode('.jpg', image)[1].tobytes())
