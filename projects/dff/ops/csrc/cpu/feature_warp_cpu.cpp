// Host side of the warp on CPUs: taps, threads and the choice of the kernels.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "checks.h"
#include "cpu/warp_task.h"

namespace dff {
namespace {

// Channel groups of an image are summed in at most so many parts, whatever the
// number of threads, so that the gradient of the flow does not depend on it.
constexpr int64_t kFlowParts = 32;
constexpr int64_t kPixelGrain = 512;

template <typename T>
struct StoredAs {
  using type = T;
};
template <>
struct StoredAs<c10::Half> {
  using type = Half;
};
template <>
struct StoredAs<c10::BFloat16> {
  using type = BFloat16;
};

template <typename T>
const WarpKernels<T>& choose_kernels() {
#ifdef DFF_WITH_X86_KERNELS
  // torch's own answer, which ATEN_CPU_CAPABILITY can lower.
  static const std::string capability = at::get_cpu_capability();
  if (capability == "AVX512") return warp_kernels_avx512<T>();
  if (capability == "AVX2") return warp_kernels_avx2<T>();
#endif
  return warp_kernels_default<T>();
}

// One warp call: sizes, layout and typed pointers to an image of each tensor.
template <typename T>
struct Call {
  using R = Real<T>;
  MapShape shape;
  int64_t images, width, height;
  at::Tensor flow;

  Call(const at::Tensor& feat, const at::Tensor& flow_map)
      : shape{feat.size(1), feat.size(2) * feat.size(3),
              layout_of(feat) == at::MemoryFormat::ChannelsLast},
        images(feat.size(0)),
        width(feat.size(3)),
        height(feat.size(2)),
        flow(flow_map) {}

  int64_t pixels() const { return images * shape.pixels; }

  T* at_image(const at::Tensor& map, int64_t image) const {
    if (!map.defined() || map.numel() == 0) return nullptr;
    return static_cast<T*>(map.data_ptr()) +
           image * shape.channels * shape.pixels;
  }

  Taps<R> taps(int64_t pixel) const {
    const int64_t image = pixel / shape.pixels;
    const int64_t y = pixel % shape.pixels / width, x = pixel % width;
    const R* point = static_cast<const R*>(flow.data_ptr()) +
                     image * flow.stride(0) + y * flow.stride(2) +
                     x * flow.stride(3);
    return taps_at<R>(x, y, point[0], point[flow.stride(1)], width, height);
  }
};

// A table entry for every pixel of the batch.
template <typename Entry, typename Make>
std::vector<Entry> fill_table(int64_t pixels, const Make& make) {
  std::vector<Entry> table(pixels);
  at::parallel_for(0, pixels, kPixelGrain, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel)
      table[pixel] = make(pixel);
  });
  return table;
}

template <typename T>
void run_forward(const at::Tensor& feat, const at::Tensor& flow,
                 const at::Tensor& scale, const at::Tensor& out) {
  using R = Real<T>;
  const Call<T> call(feat, flow);
  const WarpKernels<T>& kernels = choose_kernels<T>();
  const auto table = fill_table<ReadTaps<R>>(call.pixels(), [&](int64_t pixel) {
    return read_taps(call.taps(pixel));
  });
  const auto task_of = [&](int64_t image) {
    return ForwardTask<T>{
        call.shape, call.at_image(feat, image), call.at_image(scale, image),
        call.at_image(out, image), table.data() + image * call.shape.pixels};
  };
  if (call.shape.channels_last) {
    at::parallel_for(0, call.pixels(), 16, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t image = begin / call.shape.pixels;
        const int64_t first = begin - image * call.shape.pixels;
        const int64_t last = std::min(call.shape.pixels, first + end - begin);
        kernels.forward_last(task_of(image), first, last);
        begin += last - first;
      }
    });
    return;
  }
  const int64_t groups =
      (call.shape.channels + kernels.lanes - 1) / kernels.lanes;
  at::parallel_for(0, call.images * groups, 1, [&](int64_t begin, int64_t end) {
    std::vector<R> scratch(call.shape.pixels * kernels.lanes);
    for (int64_t i = begin; i < end; ++i) {
      kernels.forward_planar(task_of(i / groups), i % groups * kernels.lanes,
                             scratch.data());
    }
  });
}

// Sums the parts (images, parts, 2, pixels) of the flow's gradient in order.
template <typename R>
void sum_parts(const std::vector<R>& parts, int64_t images, int64_t count,
               int64_t size, R* grad_flow) {
  at::parallel_for(
      0, images * size, kPixelGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t image = i / size;
          R total = 0;
          for (int64_t part = 0; part < count; ++part) {
            total += parts[(image * count + part) * size + i % size];
          }
          grad_flow[i] = total;
        }
      });
}

template <typename T>
void run_backward(const at::Tensor& grad, const at::Tensor& feat,
                  const at::Tensor& flow, const at::Tensor& scale,
                  const at::Tensor& grad_feat, const at::Tensor& grad_flow,
                  const at::Tensor& grad_scale) {
  using R = Real<T>;
  const Call<T> call(feat, flow);
  const WarpKernels<T>& kernels = choose_kernels<T>();
  const auto table = fill_table<Taps<R>>(
      call.pixels(), [&](int64_t pixel) { return call.taps(pixel); });
  const int64_t pixels = call.shape.pixels;
  const int64_t groups =
      (call.shape.channels + kernels.lanes - 1) / kernels.lanes;
  const int64_t parts = std::min(groups, kFlowParts);
  const bool with_flow = grad_flow.numel() > 0;
  std::vector<R> sums(with_flow ? call.images * parts * 2 * pixels : 0);
  at::parallel_for(0, call.images * parts, 1, [&](int64_t begin, int64_t end) {
    std::vector<R> scratch(2 * pixels * kernels.lanes);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / parts, part = i % parts;
      const BackwardTask<T> task{call.shape,
                                 call.at_image(grad, image),
                                 call.at_image(feat, image),
                                 call.at_image(scale, image),
                                 call.at_image(grad_feat, image),
                                 call.at_image(grad_scale, image),
                                 table.data() + image * pixels};
      R* flow_sums = with_flow ? sums.data() + i * 2 * pixels : nullptr;
      for (int64_t group = part * groups / parts;
           group < (part + 1) * groups / parts; ++group) {
        kernels.backward(task, group * kernels.lanes, scratch.data(),
                         flow_sums);
      }
    }
  });
  if (with_flow) {
    sum_parts(sums, call.images, parts, 2 * pixels,
              static_cast<R*>(grad_flow.data_ptr()));
  }
}

at::Tensor feature_warp_cpu(const at::Tensor& feat, const at::Tensor& flow,
                            const std::optional<at::Tensor>& scale) {
  check_feature_warp(feat, flow, scale);
  const auto format = layout_of(feat);
  const at::Tensor source = feat.contiguous(format);
  const at::Tensor factor =
      scale.has_value() ? scale->contiguous(format) : at::Tensor();
  const at::Tensor out = at::empty_like(source, source.options(), format);
  if (out.numel() == 0) return out;
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, feat.scalar_type(), "feature_warp", [&] {
        run_forward<typename StoredAs<scalar_t>::type>(source, flow, factor,
                                                       out);
      });
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> feature_warp_backward_cpu(
    const at::Tensor& grad, const at::Tensor& feat, const at::Tensor& flow,
    const std::optional<at::Tensor>& scale, std::array<bool, 3> needed) {
  check_feature_warp(feat, flow, scale);
  check_feature_warp(feat, flow, grad);
  const auto format = layout_of(feat);
  const at::Tensor source = feat.contiguous(format);
  const at::Tensor factor =
      scale.has_value() ? scale->contiguous(format) : at::Tensor();
  const auto make = [&](bool is_needed, const at::Tensor& like) {
    if (!is_needed) return at::empty({0}, like.options());
    return at::empty_like(like, like.options(), format);
  };
  const at::Tensor grad_feat = make(needed[0], source);
  const at::Tensor grad_flow = needed[1]
                                   ? at::zeros(flow.sizes(), flow.options())
                                   : at::empty({0}, flow.options());
  const at::Tensor grad_scale = make(needed[2] && scale.has_value(), source);
  if (source.numel() > 0) {
    AT_DISPATCH_FLOATING_TYPES_AND2(
        at::kHalf, at::kBFloat16, feat.scalar_type(), "feature_warp_backward",
        [&] {
          run_backward<typename StoredAs<scalar_t>::type>(
              grad.contiguous(format), source, flow, factor, grad_feat,
              grad_flow, grad_scale);
        });
  }
  return {grad_feat, grad_flow, grad_scale};
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY_IMPL(dff, CPU, m) {
  m.impl("feature_warp", dff::feature_warp_cpu);
  m.impl("feature_warp_backward", dff::feature_warp_backward_cpu);
}
