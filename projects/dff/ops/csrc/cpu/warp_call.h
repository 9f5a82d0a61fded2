// One call of the warp on a CPU: sizes, pointers, taps, and the kernels of this
// machine.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checks.h"
#include "cpu/warp_task.h"

namespace dff {

// The backward pass splits the channels of an image into at most this many
// parts. It does not depend on the number of threads, so gradients do not
// either.
constexpr int64_t kMostParts = 16;
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
  // torch's choice, which ATEN_CPU_CAPABILITY can lower.
  static const std::string capability = at::get_cpu_capability();
  if (capability == "AVX512") return warp_kernels_avx512<T>();
  if (capability == "AVX2") return warp_kernels_avx2<T>();
#endif
  return warp_kernels_default<T>();
}

// Sizes, layout, and typed pointers to one image of each tensor.
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
  int64_t groups(int64_t lanes) const {
    return (shape.channels + lanes - 1) / lanes;
  }
  int64_t parts(int64_t lanes) const {
    return std::min(groups(lanes), kMostParts);
  }

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

// Makes a table with one entry per pixel of the batch.
template <typename Entry, typename Make>
std::vector<Entry> fill_table(int64_t pixels, const Make& make) {
  std::vector<Entry> table(pixels);
  at::parallel_for(0, pixels, kPixelGrain, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel)
      table[pixel] = make(pixel);
  });
  return table;
}

// Calls run(image, first pixel, last pixel) in parallel.
template <typename T, typename F>
void for_each_run(const Call<T>& call, const F& run) {
  at::parallel_for(0, call.pixels(), 16, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t image = begin / call.shape.pixels;
      const int64_t first = begin - image * call.shape.pixels;
      const int64_t last = std::min(call.shape.pixels, first + end - begin);
      run(image, first, last);
      begin += last - first;
    }
  });
}

}  // namespace dff
