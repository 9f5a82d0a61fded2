// The warp on CUDA devices. A thread computes the taps of one pixel and loops
// over some of its channels. Neighbouring threads access neighbouring memory:
// pixels of a planar map, channels of a channels-last map.
#include <ATen/Context.h>
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "checks.h"
#include "cuda/launch.h"
#include "warp_taps.h"

namespace dff {
namespace {

constexpr int64_t kPlanarChannels = 32;  // per thread of a planar map
constexpr int64_t kLastThreads = 64;     // per pixel of a channels-last map

template <typename Real>
struct FlowMap {
  const Real* data;
  int64_t image, channel, row, column;  // strides
};

struct Geometry {
  int64_t images, channels, height, width;
  int64_t parts;  // threads that share a pixel
  bool is_last;

  int64_t items() const { return images * height * width * parts; }
};

Geometry geometry_of(const at::Tensor& feat) {
  const bool is_last = layout_of(feat) == at::MemoryFormat::ChannelsLast;
  const int64_t channels = feat.size(1);
  const int64_t parts =
      is_last ? std::min(channels, kLastThreads)
              : (channels + kPlanarChannels - 1) / kPlanarChannels;
  return {feat.size(0), channels, feat.size(2), feat.size(3), parts, is_last};
}

template <typename Real>
FlowMap<Real> flow_map_of(const at::Tensor& flow) {
  return {flow.const_data_ptr<Real>(), flow.stride(0), flow.stride(1),
          flow.stride(2), flow.stride(3)};
}

// The work of one thread: channels begin, begin + step, ... < end of a pixel.
// Channel c is at base + c * channel_stride, its taps are at
// image_base + offset * pixel_stride + c * channel_stride.
struct Share {
  int64_t image, x, y;
  int64_t begin, end, step;
  int64_t image_base, base, pixel_stride, channel_stride;
};

__device__ __forceinline__ Share share_of(const Geometry& shape, int64_t item) {
  const int64_t pixels = shape.height * shape.width;
  Share share;
  int64_t pixel;
  if (shape.is_last) {
    pixel = item / shape.parts % pixels;
    share.image = item / shape.parts / pixels;
    share.begin = item % shape.parts;
    share.end = shape.channels;
    share.step = shape.parts;
    share.pixel_stride = shape.channels;
    share.channel_stride = 1;
  } else {
    const int64_t part = item / pixels % shape.parts;
    pixel = item % pixels;
    share.image = item / pixels / shape.parts;
    share.begin = part * kPlanarChannels;
    share.end = share.begin + kPlanarChannels < shape.channels
                    ? share.begin + kPlanarChannels
                    : shape.channels;
    share.step = 1;
    share.pixel_stride = 1;
    share.channel_stride = pixels;
  }
  share.x = pixel % shape.width;
  share.y = pixel / shape.width;
  share.image_base = share.image * shape.channels * pixels;
  share.base = share.image_base + pixel * share.pixel_stride;
  return share;
}

template <typename Real>
__device__ __forceinline__ Taps<Real> taps_of(const Geometry& shape,
                                              const FlowMap<Real>& flow,
                                              const Share& share) {
  const Real* point = flow.data + share.image * flow.image +
                      share.y * flow.row + share.x * flow.column;
  return taps_at<Real>(share.x, share.y, point[0], point[flow.channel],
                       shape.width, shape.height);
}

template <typename T, typename Real>
__global__ void warp_forward(int64_t items, Geometry shape, FlowMap<Real> flow,
                             const T* feat, const T* scale, T* out) {
  for (int64_t item = first_item(); item < items; item += item_step()) {
    const Share share = share_of(shape, item);
    const ReadTaps<Real> taps = read_taps(taps_of(shape, flow, share));
    for (int64_t c = share.begin; c < share.end; c += share.step) {
      const T* map = feat + share.image_base + c * share.channel_stride;
      Real sum;
      for (int k = 0; k < kTaps; ++k) {
        const int64_t offset = taps.offset[k];
        const Real value =
            offset == kOutside
                ? Real(0)
                : static_cast<Real>(map[offset * share.pixel_stride]);
        sum = k == 0 ? taps.weight[k] * value : sum + taps.weight[k] * value;
      }
      const int64_t place = share.base + c * share.channel_stride;
      if (scale) sum *= static_cast<Real>(scale[place]);
      out[place] = static_cast<T>(sum);
    }
  }
}

// Pointers are null for gradients that are not needed. Several threads add to
// feat and flow.
template <typename T, typename Real>
struct Gradients {
  Real* feat;  // in the layout of the features
  Real* flow;  // contiguous
  T* scale;
};

template <typename T, typename Real>
__global__ void warp_backward(int64_t items, Geometry shape, FlowMap<Real> flow,
                              const T* grad, const T* feat, const T* scale,
                              Gradients<T, Real> sums) {
  const int64_t pixels = shape.height * shape.width;
  for (int64_t item = first_item(); item < items; item += item_step()) {
    const Share share = share_of(shape, item);
    const Taps<Real> taps = taps_of(shape, flow, share);
    Real grad_x = 0, grad_y = 0;
    for (int64_t c = share.begin; c < share.end; c += share.step) {
      const int64_t channel = share.image_base + c * share.channel_stride;
      const int64_t place = share.base + c * share.channel_stride;
      const Real slope = static_cast<Real>(grad[place]);
      const Real scaled =
          scale ? slope * static_cast<Real>(scale[place]) : slope;
      Real value = 0, dx = 0, dy = 0;
      for (int k = 0; k < kTaps; ++k) {
        if (taps.offset[k] == kOutside) continue;
        const int64_t tap = channel + taps.offset[k] * share.pixel_stride;
        const Real pixel = static_cast<Real>(feat[tap]);
        if (taps.weight(k) != 0) value += taps.weight(k) * pixel;
        if (taps.weight_dx(k) != 0) dx += taps.weight_dx(k) * pixel;
        if (taps.weight_dy(k) != 0) dy += taps.weight_dy(k) * pixel;
        if (sums.feat && taps.weight(k) != 0) {
          atomicAdd(sums.feat + tap, taps.weight(k) * scaled);
        }
      }
      if (sums.scale) sums.scale[place] = static_cast<T>(slope * value);
      grad_x += scaled * dx;
      grad_y += scaled * dy;
    }
    if (sums.flow) {
      Real* point = sums.flow + share.image * 2 * pixels +
                    share.y * shape.width + share.x;
      atomicAdd(point, grad_x);
      atomicAdd(point + pixels, grad_y);
    }
  }
}

template <typename T>
const T* pointer_or_null(const std::optional<at::Tensor>& map) {
  return map.has_value() ? map->const_data_ptr<T>() : nullptr;
}

std::optional<at::Tensor> in_layout(const std::optional<at::Tensor>& map,
                                    at::MemoryFormat format) {
  if (!map.has_value()) return map;
  return map->contiguous(format);
}

at::Tensor feature_warp_cuda(const at::Tensor& feat, const at::Tensor& flow,
                             const std::optional<at::Tensor>& scale) {
  check_feature_warp(feat, flow, scale);
  const c10::cuda::CUDAGuard guard(feat.device());
  const auto format = layout_of(feat);
  const at::Tensor source = feat.contiguous(format);
  const auto factor = in_layout(scale, format);
  const at::Tensor out = at::empty_like(source, source.options(), format);
  if (out.numel() == 0) return out;
  const Geometry shape = geometry_of(source);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, feat.scalar_type(), "feature_warp", [&] {
        using Real = at::opmath_type<scalar_t>;
        launch(warp_forward<scalar_t, Real>, shape.items(), shape,
               flow_map_of<Real>(flow), source.const_data_ptr<scalar_t>(),
               pointer_or_null<scalar_t>(factor), out.data_ptr<scalar_t>());
      });
  return out;
}

template <typename T>
void run_backward(const at::Tensor& grad, const at::Tensor& feat,
                  const at::Tensor& flow,
                  const std::optional<at::Tensor>& scale,
                  const at::Tensor& feat_sums, const at::Tensor& grad_flow,
                  const at::Tensor& grad_scale) {
  using Real = at::opmath_type<T>;
  const Geometry shape = geometry_of(feat);
  const Gradients<T, Real> sums{
      feat_sums.numel() ? feat_sums.data_ptr<Real>() : nullptr,
      grad_flow.numel() ? grad_flow.data_ptr<Real>() : nullptr,
      grad_scale.numel() ? grad_scale.data_ptr<T>() : nullptr};
  launch(warp_backward<T, Real>, shape.items(), shape, flow_map_of<Real>(flow),
         grad.const_data_ptr<T>(), feat.const_data_ptr<T>(),
         pointer_or_null<T>(scale), sums);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> feature_warp_backward_cuda(
    const at::Tensor& grad, const at::Tensor& feat, const at::Tensor& flow,
    const std::optional<at::Tensor>& scale, std::array<bool, 3> needed) {
  check_feature_warp(feat, flow, scale);
  check_feature_warp(feat, flow, grad);
  if (needed[0] || needed[1]) {
    at::globalContext().alertNotDeterministic("feature_warp_backward on CUDA");
  }
  const c10::cuda::CUDAGuard guard(feat.device());
  const auto format = layout_of(feat);
  const at::Tensor source = feat.contiguous(format);
  const at::Tensor feat_sums =
      needed[0] ? at::zeros_like(source, flow.options(), format)
                : at::empty({0}, flow.options());
  const at::Tensor grad_flow = needed[1]
                                   ? at::zeros(flow.sizes(), flow.options())
                                   : at::empty({0}, flow.options());
  const at::Tensor grad_scale =
      needed[2] && scale.has_value()
          ? at::empty_like(source, source.options(), format)
          : at::empty({0}, feat.options());
  if (source.numel() > 0) {
    AT_DISPATCH_FLOATING_TYPES_AND2(
        at::kHalf, at::kBFloat16, feat.scalar_type(), "feature_warp_backward",
        [&] {
          run_backward<scalar_t>(grad.contiguous(format), source, flow,
                                 in_layout(scale, format), feat_sums, grad_flow,
                                 grad_scale);
        });
  }
  return {feat_sums.to(feat.scalar_type()), grad_flow, grad_scale};
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY_IMPL(dff, CUDA, m) {
  m.impl("feature_warp", dff::feature_warp_cuda);
  m.impl("feature_warp_backward", dff::feature_warp_backward_cuda);
}
