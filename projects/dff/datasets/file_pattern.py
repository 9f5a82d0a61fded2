"""Read the video and the frame number from the path of an image."""

import re
from collections.abc import Mapping
from os.path import splitext
from typing import Any, cast

VIDEO_AND_FRAME = r'(?P<video>.+)/(?P<frame>\d+)'  # images/VIDEO/FRAME


class FilePattern:
    """Read the video and the frame number from the path of an image.

    Frames with consecutive numbers form a video. A new video begins after a missing
    number, so that no pair spans a gap. A single image is a video of one frame.

    Args:
        pattern: Regular expression with the groups `video` and `frame` (digits). It
            must match the end of the path without its suffix, from the start of a
            folder name or of the file name.
        frame_step: Difference of the numbers of consecutive frames.
        snippet_length: Frames per snippet, for data sets with several snippets
            without a gap between them (Cityscapes: 30).

    Raises:
        ValueError: If the pattern is invalid or lacks a group, or a number is below 1.
    """

    def __init__(
        self,
        pattern: str = VIDEO_AND_FRAME,
        *,
        frame_step: int = 1,
        snippet_length: int | None = None,
    ) -> None:
        """Compile the pattern."""
        try:
            self._pattern = re.compile(f'(?:.*/)?(?:{pattern})')
        except re.error as error:
            raise ValueError(
                f'file_pattern {pattern!r} is not a regular expression: {error}'
            ) from None
        missing = {'video', 'frame'} - set(self._pattern.groupindex)
        if missing:
            raise ValueError(
                "file_pattern must have the groups 'video' and 'frame', such as "
                f'{VIDEO_AND_FRAME!r}; {pattern!r} lacks {sorted(missing)}'
            )
        for name, value in dict(step=frame_step, length=snippet_length or 1).items():
            if value < 1:
                raise ValueError(f'the {name} of frames must be >= 1, got {value}')
        self.pattern = pattern
        self.frame_step = frame_step
        self.snippet_length = snippet_length

    @classmethod
    def build(cls, cfg: 'str | Mapping | FilePattern') -> 'FilePattern':
        """Build one from a pattern, or from a dict of the arguments of this class."""
        if isinstance(cfg, cls):
            return cfg
        return cls(cfg) if isinstance(cfg, str) else cls(**cast(Mapping, cfg))

    @classmethod
    def for_dataset(
        cls, dataset: Any, cfg: 'str | Mapping | FilePattern | None' = None
    ) -> 'FilePattern | None':
        """Build the file pattern of a data set.

        Args:
            dataset: A data set. Its attribute `FILE_PATTERN`, if any, is the default.
            cfg: Replaces the default. A dict replaces only the arguments it has.

        Returns:
            The pattern, or None if neither specifies one.
        """
        own = getattr(dataset, 'FILE_PATTERN', None)
        if isinstance(cfg, Mapping) and own is not None:
            own = dict(pattern=own) if isinstance(own, str) else own
            return cls(**{**own, **cfg})
        cfg = own if cfg is None else cfg
        return None if cfg is None else cls.build(cfg)

    def get_root(self, img_path: str) -> str:
        """Return the part of a path that matches before the name of the video."""
        path = img_path.replace('\\', '/')
        match = self._pattern.fullmatch(splitext(path)[0])
        assert match is not None, img_path  # `parse` has matched it
        return path[: match.start('video')]

    def parse(self, img_path: str) -> tuple[str, int]:
        """Return the video and the frame number in units of `frame_step`.

        Raises:
            ValueError: If the pattern does not match.
        """
        match = self._pattern.fullmatch(splitext(img_path)[0].replace('\\', '/'))
        if match is None:
            raise ValueError(
                f'file_pattern {self.pattern!r} does not match {img_path}: cannot read '
                'its video and frame'
            )
        return match['video'], int(match['frame']) // self.frame_step

    def split_videos(self, videos: Mapping[str, list[tuple]]) -> dict[str, list[tuple]]:
        """Split videos at missing frames, and every `snippet_length` frames.

        Args:
            videos: Rows of each video. A row begins with the frame number.

        Returns:
            Rows of each part, in order. The name of a part is that of its video; if
            there are several, the number of the first frame is added.
        """
        snippets: dict[str, list[tuple]] = {}
        for name, rows in videos.items():
            runs = self._runs(sorted(rows))
            for run in runs:
                title = name if len(runs) == 1 else f'{name}_{run[0][0]:06d}'
                snippets[title] = run
        return snippets

    def _runs(self, rows: list[tuple]) -> list[list[Any]]:
        runs: list[list[Any]] = []
        for row in rows:
            if not runs or row[0] - runs[-1][-1][0] > 1:
                runs.append([])
            runs[-1].append(row)
        size = self.snippet_length
        if size is None:
            return runs
        return [run[at : at + size] for run in runs for at in range(0, len(run), size)]
