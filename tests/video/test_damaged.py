"""Damaged files: what can be read is delivered, and what cannot be read is named."""

import numpy as np
import pytest
from make_video import damage_packet, list_packets, noise_pictures, write_video

from dff.video import open_frames

CODECS = {
    'h264.mp4': dict(codec='libx264'),
    'h264.mkv': dict(codec='libx264'),
    'no_b_frames.mp4': dict(codec='libx264', bf='0'),
    'h264.ts': dict(codec='libx264'),
    'mpeg4.avi': dict(codec='mpeg4'),
    'mjpeg.avi': dict(codec='mjpeg', pix_fmt='yuvj420p'),
}


def read(path, **options):
    source = open_frames(path, **options)
    return list(source), source.damage


@pytest.mark.parametrize('name', CODECS)
def test_damaged_packet(tmp_path, name):
    path = tmp_path / name
    write_video(path, noise_pictures(20, (96, 128)), g='10', **CODECS[name])
    whole, damage = read(path)
    assert len(whole) == 20 and damage == []
    bad = tmp_path / f'bad_{name}'
    # arithmetic coding has no words that are wrong: without B frames, only the length
    # in front tells
    part = (0, 0.5) if name.startswith('no_b') else (0.25, 0.75)
    number = damage_packet(path, 7, bad, part=part)
    frames, damage = read(bad)
    found = {d.number: d for d in damage}
    assert number in found
    assert found[number].time == pytest.approx(number / 10, abs=0.002)
    by_index = {frame.index: frame for frame in frames}
    # nothing else is missing, and numbers are those of the whole file
    missing = set(range(20)) - set(by_index)
    assert missing == {d.number for d in damage if d.kind == 'lost'}
    assert all(by_index[n].is_damaged for n in found if found[n].kind == 'concealed')
    for index, frame in by_index.items():
        assert frame.time == pytest.approx(whole[index].time)
        is_touched = index in found or index - 1 in found
        assert frame.starts_anew == is_touched
        # the packets of frames 0 to 4 come before, and frame 10 is intra-coded
        if index < 5 or index >= 13:
            np.testing.assert_array_equal(frame.image, whole[index].image)
    with pytest.raises(ValueError, match=rf'bad_{name}: frame {min(found)} \('):
        read(bad, on_damage='raise')


@pytest.mark.parametrize('name', ['a.mkv', 'a.avi', 'a.ts', 'a.webm'])
def test_file_that_ends_early(tmp_path, name):
    path = tmp_path / name
    codec = dict(mkv='libx264', avi='mjpeg', ts='libx264', webm='libvpx-vp9')[name[2:]]
    pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
    write_video(path, noise_pictures(20, (96, 128)), codec=codec, pix_fmt=pix_fmt)
    whole, _ = read(path)
    position, size, _ = list_packets(path)[14]
    bad = tmp_path / f'cut_{name}'
    bad.write_bytes(path.read_bytes()[: position + size // 2])
    frames, damage = read(bad)
    assert 10 <= len(frames) <= 15
    for frame in frames[:10]:
        np.testing.assert_array_equal(frame.image, whole[frame.index].image)
    assert len(damage) == 1 and damage[0].number >= 10
    with pytest.raises(ValueError, match=rf'cut_{name}: .*frame {damage[0].number}'):
        read(bad, on_damage='raise')


def test_mp4_that_ends_early(tmp_path):
    """The index is at the start, as in files for the web."""
    path = tmp_path / 'a.mp4'
    write_video(path, noise_pictures(20, (96, 128)), muxer={'movflags': 'faststart'})
    whole, _ = read(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    frames, damage = read(path)
    assert 10 < len(frames) < 20
    assert damage[-1].number in (len(frames), len(frames) - 1)
    for frame in frames[:10]:
        np.testing.assert_array_equal(frame.image, whole[frame.index].image)


def test_damage_in_the_container(tmp_path):
    """Reading goes on at the next cluster, and what was skipped is not hidden."""
    path = tmp_path / 'a.mkv'
    write_video(path, noise_pictures(80, (96, 128)), codec='mjpeg', pix_fmt='yuvj420p')
    position, _, _ = list_packets(path)[20]
    content = bytearray(path.read_bytes())
    content[position - 12 : position + 40] = bytes(52)
    path.write_bytes(content)
    frames, damage = read(path)
    assert len(frames) < 80 and damage[0].kind == 'container'
    assert frames[damage[0].number].starts_anew
    with pytest.raises(ValueError, match=r'a\.mkv: the file is damaged at frame'):
        read(path, on_damage='raise')


def test_damage_outside_of_the_part_is_not_reported(tmp_path):
    path = write_video(tmp_path / 'a.avi', noise_pictures(20), codec='mjpeg',
                       pix_fmt='yuvj420p')  # fmt: skip
    damage_packet(path, 7, path)
    for part in (dict(stop=7), dict(start=8)):
        frames, damage = read(path, on_damage='raise', **part)
        assert damage == [] and len(frames) in (7, 12)
    assert [d.number for d in read(path, stride=2)[1]] == [7]
