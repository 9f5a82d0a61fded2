"""Write synthetic videos as a CocoVID data set with frames and label maps."""

from pathlib import Path

from rich.progress import track

from dff.datasets.synthetic_video import (
    SYNTHETIC_CLASSES,
    SyntheticFrame,
    SyntheticVideo,
)

from .cocovid import CocoVIDWriter, write_image


def write_synthetic_set(
    out: str | Path,
    *,
    name: str,
    num_videos: int,
    num_frames: int,
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    label_every: int = 1,
    speed: float = 1.0,
) -> CocoVIDWriter:
    """Write OUT/annotations/NAME.json, OUT/frames and OUT/labels.

    A frame is `NAME_0000/000000.jpg`, its label map `NAME_0000/000000.png` (0 is
    background). Data sets with different seeds have no video in common.

    Args:
        out: Data root of the result.
        name: Name of the JSON file and prefix of its videos.
        num_videos: Number of videos.
        num_frames: Number of frames per video.
        size: (width, height) in pixels.
        seed: Equal seeds produce equal data sets.
        label_every: Label only every n-th frame. Others have no label map.
        speed: Speed of the shapes, see `SyntheticVideo`.

    Raises:
        ValueError: If a number is too small.
    """
    if min(num_videos, label_every) < 1:
        values = f'{num_videos} and {label_every}'
        raise ValueError(f'num_videos and label_every must be >= 1, got {values}')
    out = Path(out)
    writer = CocoVIDWriter(SYNTHETIC_CLASSES)
    for number in track(range(num_videos), f'synthetic {name}'):
        video_name = f'{name}_{number:04d}'
        video_id = writer.add_video(video_name)
        video = SyntheticVideo(num_frames, size=size, seed=(seed, number), speed=speed)
        for frame_id, frame in enumerate(video):
            stem = f'{video_name}/{frame_id:06d}'
            write_image(frame.image, out / 'frames' / f'{stem}.jpg')
            image_id = writer.add_image(
                f'{stem}.jpg',
                size,
                video_id=video_id,
                frame_id=frame_id,
                is_labelled=frame_id % label_every == 0,
            )
            if frame_id % label_every == 0:
                write_image(frame.label_map, out / 'labels' / f'{stem}.png')
                _add_boxes(writer, image_id, frame, source=stem)
    writer.write(out / 'annotations' / f'{name}.json')
    return writer


def _add_boxes(
    writer: CocoVIDWriter, image_id: int, frame: SyntheticFrame, *, source: str
) -> None:
    for box, label, number, is_ignored in zip(
        frame.boxes, frame.labels, frame.instance_ids, frame.is_ignored, strict=True
    ):
        writer.add_box(
            image_id,
            box.tolist(),
            label=int(label),
            source=source,
            instance_id=int(number),
            is_ignored=bool(is_ignored),
        )
