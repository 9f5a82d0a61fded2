"""Which video and which frame a file name tells."""

import re
from collections.abc import Mapping
from os.path import splitext
from typing import Any

VIDEO_AND_FRAME = r'(?P<video>.+)/(?P<frame>\d+)'  # images/VIDEO/FRAME


class FilePattern:
    """Read video and frame number off the path of an image.

    Frames that follow each other in number make a video; where a number is missing
    another one begins, so that no pair reaches over a gap and single images are
    videos of one frame.

    Args:
        pattern: Regular expression with the groups `video` and `frame` (digits),
            matched against the whole end of the path, without suffix and from the
            start of some folder or file name on.
        frame_step: Difference of the numbers of neighbouring frames.
        snippet_length: Frames a snippet, where several may follow each other without
            a gap (Cityscapes: 30).
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
                f'file_pattern {pattern!r} is no pattern: {error}'
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
        """Make one of a pattern or of `dict(pattern=..., frame_step=...)`."""
        if isinstance(cfg, cls):
            return cfg
        return cls(cfg) if isinstance(cfg, str) else cls(**cfg)

    @classmethod
    def of(
        cls, dataset: Any, cfg: 'str | Mapping | FilePattern | None' = None
    ) -> 'FilePattern | None':
        """Make the one of a data set.

        Args:
            dataset: May have a pattern of its own, `FILE_PATTERN`.
            cfg: Takes its place; a dict only where it says something else.

        Returns:
            The pattern, None where neither says one.
        """
        own = getattr(dataset, 'FILE_PATTERN', None)
        if isinstance(cfg, Mapping) and own is not None:
            own = dict(pattern=own) if isinstance(own, str) else own
            return cls(**{**own, **cfg})
        cfg = own if cfg is None else cfg
        return None if cfg is None else cls.build(cfg)

    def root_of(self, img_path: str) -> str:
        """Return what stands before the name of the video in a path that matches."""
        path = img_path.replace('\\', '/')
        match = self._pattern.fullmatch(splitext(path)[0])
        return path[: match.start('video')]

    def parse(self, img_path: str) -> tuple[str, int]:
        """Return the video and the frame number in units of `frame_step`.

        Raises:
            ValueError: The pattern does not match.
        """
        match = self._pattern.fullmatch(splitext(img_path)[0].replace('\\', '/'))
        if match is None:
            raise ValueError(
                f'file_pattern {self.pattern!r} does not match {img_path}: it tells '
                'no video and frame'
            )
        return match['video'], int(match['frame']) // self.frame_step

    def split(self, videos: Mapping[str, list[tuple]]) -> dict[str, list[tuple]]:
        """Cut videos at gaps, and runs of several snippets into these.

        Args:
            videos: Rows of each, beginning with the frame number.

        Returns:
            Rows of each snippet, in order. A video that is whole keeps its name,
            parts get the number of their first frame after it.
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
