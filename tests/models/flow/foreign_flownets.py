"""Small FlowNetS networks built, named and saved as their public sources do.

Written from the layouts of those sources, without the code under test.
"""

import struct

import torch
from torch import nn
from torch.nn import functional as F

# output channels of conv1 ... conv6_1 and deconv5 ... deconv2, a 16th of the full ones
ENCODER = dict(conv1=4, conv2=8, conv3=16, conv3_1=16, conv4=32, conv4_1=32,
               conv5=32, conv5_1=32, conv6=64, conv6_1=64)  # fmt: skip
DECODER = {5: 32, 4: 16, 3: 8, 2: 4}
SKIPS = {5: 'conv5_1', 4: 'conv4_1', 3: 'conv3_1', 2: 'conv2'}


def slope(x):
    return F.leaky_relu(x, 0.1)


def conv_sizes():
    """Yield name, inputs, outputs, kernel and stride of the encoder."""
    before = 6
    for name, channels in ENCODER.items():
        kernel = {'conv1': 7, 'conv2': 5, 'conv3': 5}.get(name, 3)
        yield name, before, channels, kernel, 1 if '_1' in name else 2
        before = channels


def joined_channels():
    """Give the channels that each prediction looks at, by level."""
    channels = {6: ENCODER['conv6_1']}
    for level, deconv in DECODER.items():
        channels[level] = ENCODER[SKIPS[level]] + deconv + 2
    return channels


class Source(nn.Module):
    """What all sources compute; subclasses say where the parts are.

    `border` (6,) is what stands around the input of the first convolution: 0 in the
    sources.
    """

    def conv(self, name):
        """Give the convolution and what follows it, batch norm or None."""
        raise NotImplementedError

    def forward(self, x, border=None):
        outs = {}
        for name in ENCODER:
            conv, norm = self.conv(name)
            if name == 'conv1' and border is not None:
                lacks = border[:, None, None]
                x = F.pad(x - lacks, (3, 3, 3, 3)) + lacks
                x = F.conv2d(x, conv.weight, conv.bias, conv.stride)
            else:
                x = conv(x)
            x = outs[name] = slope(x if norm is None else norm(x))
        flow = self.predict(6)(x)
        for level in DECODER:
            skip = outs[SKIPS[level]]
            height, width = skip.shape[-2:]
            up = slope(self.deconv(level)(x))[..., :height, :width]
            to_finer = self.upsample(level)(flow)[..., :height, :width]
            x = torch.cat([skip, up, to_finer], 1)
            flow = self.predict(level)(x)
        return flow

    def randomise(self, seed):
        """Set all arrays so that values stay in a useful range to the end."""
        generator = torch.Generator().manual_seed(seed)
        for name, value in self.state_dict().items():
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim == 4:
                taps = value[0].numel() if 'conv' in name else value[0].numel() / 2
                value.copy_(noise * (2 / taps) ** 0.5)
            elif name.endswith('running_var'):
                value.copy_(0.5 + noise.abs())
            elif value.ndim == 1:
                value.copy_(1 + noise / 4 if name.endswith('weight') else noise / 10)
        return self.eval()


class PyTorchSource(Source):
    """ClementPinard's layout (no bias in the decoder), or NVIDIA's (with)."""

    def __init__(self, *, decoder_bias=False, batch_norm=False):
        super().__init__()
        for name, before, after, kernel, stride in conv_sizes():
            conv = nn.Conv2d(
                before, after, kernel, stride, kernel // 2, bias=not batch_norm
            )
            norm = [nn.BatchNorm2d(after)] if batch_norm else []
            setattr(self, name, nn.Sequential(conv, *norm, nn.LeakyReLU(0.1)))
        before = ENCODER['conv6_1']
        for level, channels in joined_channels().items():
            predict = nn.Conv2d(channels, 2, 3, 1, 1, bias=decoder_bias)
            setattr(self, f'predict_flow{level}', predict)
            if level < 6:
                up = nn.ConvTranspose2d(
                    before, DECODER[level], 4, 2, 1, bias=decoder_bias
                )
                setattr(self, f'deconv{level}', nn.Sequential(up, nn.LeakyReLU(0.1)))
                flow_up = nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False)
                setattr(self, f'upsampled_flow{level + 1}_to_{level}', flow_up)
            before = channels

    def conv(self, name):
        parts = getattr(self, name)
        return parts[0], parts[1] if len(parts) == 3 else None

    def predict(self, level):
        return getattr(self, f'predict_flow{level}')

    def deconv(self, level):
        return getattr(self, f'deconv{level}')[0]

    def upsample(self, level):
        return getattr(self, f'upsampled_flow{level + 1}_to_{level}')


def holder(**parts):
    module = nn.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


class MMFlowSource(Source):
    """OpenMMLab's layout: levels of convolutions, blocks of the decoder."""

    def __init__(self):
        super().__init__()
        levels = {}
        for name, before, after, kernel, stride in conv_sizes():
            conv = nn.Conv2d(before, after, kernel, stride, kernel // 2)
            levels.setdefault(name[4], []).append(holder(conv=conv))
        blocks = [holder(layers=nn.Sequential(*parts)) for parts in levels.values()]
        self.encoder = holder(layers=nn.Sequential(*blocks))
        decoders = {}
        for level, channels in joined_channels().items():
            block = holder(pred_out=nn.Conv2d(channels, 2, 3, 1, 1))
            if level > 2:
                up = nn.ConvTranspose2d(channels, DECODER[level - 1], 4, 2, 1)
                flow_up = nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False)
                block.deconv_out = holder(deconvs=nn.Sequential(up, nn.LeakyReLU(0.1)))
                block.upsample_pred = holder(deconvs=nn.Sequential(flow_up))
            decoders[f'level{level}'] = block
        self.decoder = holder(decoders=nn.ModuleDict(decoders))

    def conv(self, name):
        parts = self.encoder.layers[int(name[4]) - 1].layers
        return parts[name.endswith('_1')].conv, None

    def predict(self, level):
        return self.decoder.decoders[f'level{level}'].pred_out

    def deconv(self, level):
        return self.decoder.decoders[f'level{level + 1}'].deconv_out.deconvs[0]

    def upsample(self, level):
        return self.decoder.decoders[f'level{level + 1}'].upsample_pred.deconvs[0]


class CaffeSource(PyTorchSource):
    """Freiburg's: all biases, deconvolutions without padding, cropped by (1, 1)."""

    def __init__(self):
        super().__init__(decoder_bias=True)
        for level in DECODER:
            for up in (self.deconv(level), self.upsample(level)):
                up.bias = nn.Parameter(torch.zeros(up.out_channels))

    def layers(self, predictions='Convolution'):
        """Give (name, weight, bias) of each layer by the names of the release."""
        for name in ENCODER:
            yield name, *self.conv(name)[0].parameters()
        for number, level in enumerate(joined_channels(), start=1):
            name = f'Convolution{number}' if predictions == 'Convolution' else (
                f'{predictions}{level}'
            )  # fmt: skip
            yield name, *self.predict(level).parameters()
        for level in DECODER:
            yield f'deconv{level}', *self.deconv(level).parameters()
            name = f'upsample_flow{level + 1}to{level}'
            yield name, *self.upsample(level).parameters()


def varint(value):
    """Encode a number of protobuf."""
    out = b''
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(number, content):
    """Encode a field that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number_field(number, value):
    return varint(number << 3) + varint(value)


def blob(array, *, old_shape=False, packed=True, double=False):
    """Encode a BlobProto."""
    values = array.detach().flatten().tolist()
    if old_shape:  # num, channels, height, width
        dims = [1] * (4 - array.ndim) + list(array.shape)
        shape = b''.join(number_field(i, dim) for i, dim in enumerate(dims, start=1))
    else:
        dims = b''.join(map(varint, array.shape))
        shape = message(7, message(1, dims))
    if double:
        return shape + message(8, struct.pack(f'<{len(values)}d', *values))
    if packed:
        return shape + message(5, struct.pack(f'<{len(values)}f', *values))
    one = varint(5 << 3 | 5)
    return shape + b''.join(one + struct.pack('<f', value) for value in values)


def caffe_layer(name, arrays, *, kind='Convolution', v1=False, **options):
    """Encode a layer, of the present or of the old (V1) format."""
    blobs = [blob(array, **options) for array in arrays]
    if v1:
        parts = [message(4, name.encode()), number_field(5, 4)]
        return message(2, b''.join([*parts, *(message(6, b) for b in blobs)]))
    parts = [message(1, name.encode()), message(2, kind.encode())]
    return message(100, b''.join([*parts, *(message(7, b) for b in blobs)]))


def caffe_net(layers, **options):
    """Encode a network: its name, a layer without arrays, and the layers."""
    start = message(1, b'FlowNetS') + caffe_layer('data', [], kind='Input')
    layers = [caffe_layer(name, arrays, **options) for name, *arrays in layers]
    return start + b''.join(layers)
