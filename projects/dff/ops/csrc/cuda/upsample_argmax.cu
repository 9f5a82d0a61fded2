// Labels of enlarged score maps on CUDA devices: one thread per pixel.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "checks.h"
#include "cuda/launch.h"
#include "upsample_taps.h"

namespace dff {
namespace {

struct ScoreShape {
  int64_t classes, height, width, rows, pixels;
  bool align_corners;
};

template <typename T, typename Real>
__global__ void label_pixels(int64_t items, ScoreShape shape, const T* scores,
                             Real row_step, Real column_step, int64_t* labels) {
  const int64_t plane = shape.height * shape.width;
  for (int64_t item = first_item(); item < items; item += item_step()) {
    const int64_t x = item % shape.pixels;
    const int64_t y = item / shape.pixels % shape.rows;
    const int64_t image = item / shape.pixels / shape.rows;
    const auto row =
        upsample_taps(y, shape.height, row_step, shape.align_corners);
    const auto column =
        upsample_taps(x, shape.width, column_step, shape.align_corners);
    const T* above =
        scores + image * shape.classes * plane + row.first * shape.width;
    const T* below =
        scores + image * shape.classes * plane + row.second * shape.width;
    Real best = 0;
    int64_t lead = 0;
    for (int64_t k = 0; k < shape.classes; ++k) {
      const Real upper =
          static_cast<Real>(above[column.first]) * column.first_weight +
          static_cast<Real>(above[column.second]) * column.second_weight;
      const Real lower =
          static_cast<Real>(below[column.first]) * column.first_weight +
          static_cast<Real>(below[column.second]) * column.second_weight;
      const Real value = upper * row.first_weight + lower * row.second_weight;
      if (k == 0 || leads(value, best)) {
        best = value;
        lead = k;
      }
      above += plane;
      below += plane;
    }
    labels[item] = lead;
  }
}

at::Tensor upsample_argmax_cuda(const at::Tensor& scores, int64_t height,
                                int64_t width, bool align_corners) {
  check_upsample_argmax(scores, height, width);
  const c10::cuda::CUDAGuard guard(scores.device());
  const at::Tensor source = scores.contiguous();
  const at::Tensor out = at::empty({scores.size(0), height, width},
                                   scores.options().dtype(at::kLong));
  const ScoreShape shape{scores.size(1), scores.size(2), scores.size(3),
                         height,         width,          align_corners};
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, scores.scalar_type(), "upsample_argmax", [&] {
        using Real = at::opmath_type<scalar_t>;
        launch(label_pixels<scalar_t, Real>, out.numel(), shape,
               source.const_data_ptr<scalar_t>(),
               upsample_step<Real>(shape.height, height, align_corners),
               upsample_step<Real>(shape.width, width, align_corners),
               out.data_ptr<int64_t>());
      });
  return out;
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY_IMPL(dff, CUDA, m) {
  m.impl("upsample_argmax", dff::upsample_argmax_cuda);
}
