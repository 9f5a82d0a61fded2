"""Write small videos of every kind with PyAV."""

from fractions import Fraction

import av
import numpy as np

SIZE = (48, 64)


def gray_level(i):
    return 20 + 18 * i  # steps that compression does not hide


def gray_pictures(count, size=SIZE):
    """Frame i has the gray level of `gray_level(i)`, and a bright upper left corner."""
    for i in range(count):
        image = np.full((*size, 3), gray_level(i), np.uint8)
        image[: size[0] // 4, : size[1] // 4] = 250
        yield image


def noise_pictures(count, size=SIZE, seed=0):
    """Frames which need many bits, so that damage hits one of them."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        small = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        yield small.repeat(8, axis=0).repeat(8, axis=1)


def write_video(
    path,
    images,
    *,
    codec='libx264',
    pix_fmt='yuv420p',
    fps=10,
    times=None,
    rotation=None,
    sound=None,
    muxer=(),
    **options,
):
    """Encode BGR images.

    Args:
        path: File; the suffix names the container.
        images: BGR uint8 images.
        codec: Name of the encoder.
        pix_fmt: Pixel format.
        fps: Frames per second.
        times: Milliseconds of each frame, for a variable frame rate.
        rotation: Degrees that a player turns the picture counter-clockwise.
        sound: Seconds of a tone.
        muxer: Options of the container.
        options: Of the encoder.
    """
    images = list(images)
    with av.open(str(path), 'w', options=dict(muxer)) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.options = pix_fmt, dict(options)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if sound is not None:
            audio = container.add_stream('aac', rate=8000, layout='mono')
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format='bgr24')
            frame = frame.reformat(format=pix_fmt)
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            container.mux(_tone(audio, sound))
    return path


def _tone(audio, seconds):
    packets = []
    for start in range(0, round(8000 * seconds), 1024):
        phase = 2 * np.pi * 440 * np.arange(start, start + 1024) / 8000
        wave = np.sin(phase).astype(np.float32)[None] / 4
        frame = av.AudioFrame.from_ndarray(wave, format='fltp', layout='mono')
        frame.sample_rate, frame.pts = 8000, start
        packets += audio.encode(frame)
    return packets + audio.encode()


def list_packets(path):
    """Return (position in the file, size, pts) of the packets of the video."""
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]
    return packets


def damage_packet(path, number, out, *, part=(0.25, 0.75)):
    """Overwrite a part of a packet of a video; return its rank by time."""
    packets = list_packets(path)
    position, size, pts = packets[number]
    begin, end = (round(share * size) for share in part)
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(1).bytes(end - begin)
    content[position + begin : position + end] = noise
    out.write_bytes(content)
    return sorted(p[2] for p in packets).index(pts)
