// Position-sensitive RoI pooling on CUDA devices: one thread per bin and class.
#include <ATen/Context.h>
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <limits>

#include "checks.h"
#include "cuda/launch.h"
#include "ps_roi_bin.h"

namespace dff {
namespace {

struct PoolShape {
  int64_t images, channels, height, width;
  int64_t image_stride, channel_stride, row_stride, column_stride;
  int bins;
};

PoolShape pool_shape_of(const at::Tensor& map, int64_t output_size) {
  return {map.size(0),   map.size(1),   map.size(2),
          map.size(3),   map.stride(0), map.stride(1),
          map.stride(2), map.stride(3), static_cast<int>(output_size)};
}

template <typename Real>
__device__ __forceinline__ Bin bin_of(const PoolShape& shape, const Real* roi,
                                      Real scale, int64_t channel) {
  const int cell = static_cast<int>(channel % (shape.bins * shape.bins));
  return bin_at(roi, scale, cell / shape.bins, cell % shape.bins, shape.bins,
                shape.width, shape.height);
}

template <typename Real>
__device__ __forceinline__ bool has_image(const PoolShape& shape,
                                          const Real* roi) {
  return roi[0] >= 0 && roi[0] < static_cast<Real>(shape.images);
}

template <typename T, typename Real>
__global__ void pool_forward(int64_t items, PoolShape shape, const T* feat,
                             const Real* rois, Real scale, T* out) {
  for (int64_t item = first_item(); item < items; item += item_step()) {
    const int64_t channel = item % shape.channels;
    const Real* roi = rois + item / shape.channels * 5;
    if (!has_image(shape, roi)) {
      out[item] = static_cast<T>(std::numeric_limits<Real>::quiet_NaN());
      continue;
    }
    const Bin bin = bin_of(shape, roi, scale, channel);
    const T* plane = feat + static_cast<int64_t>(roi[0]) * shape.image_stride +
                     channel * shape.channel_stride;
    Real sum = 0;
    for (int64_t y = bin.y0; y < bin.y1; ++y) {
      for (int64_t x = bin.x0; x < bin.x1; ++x) {
        sum += static_cast<Real>(
            plane[y * shape.row_stride + x * shape.column_stride]);
      }
    }
    const int64_t area = bin.area();
    out[item] = static_cast<T>(area ? sum / static_cast<Real>(area) : Real(0));
  }
}

template <typename T, typename Real>
__global__ void pool_backward(int64_t items, PoolShape shape, const T* grad,
                              const Real* rois, Real scale, Real* sums) {
  for (int64_t item = first_item(); item < items; item += item_step()) {
    const int64_t channel = item % shape.channels;
    const Real* roi = rois + item / shape.channels * 5;
    if (!has_image(shape, roi)) continue;
    const Bin bin = bin_of(shape, roi, scale, channel);
    if (bin.area() == 0) continue;
    const Real share =
        static_cast<Real>(grad[item]) / static_cast<Real>(bin.area());
    Real* plane = sums + static_cast<int64_t>(roi[0]) * shape.image_stride +
                  channel * shape.channel_stride;
    for (int64_t y = bin.y0; y < bin.y1; ++y) {
      for (int64_t x = bin.x0; x < bin.x1; ++x) {
        atomicAdd(plane + y * shape.row_stride + x * shape.column_stride,
                  share);
      }
    }
  }
}

at::Tensor ps_roi_pool_cuda(const at::Tensor& feat, const at::Tensor& rois,
                            int64_t output_size, double spatial_scale) {
  check_ps_roi_pool(feat, rois, output_size, spatial_scale);
  const c10::cuda::CUDAGuard guard(feat.device());
  const at::Tensor table = rois.contiguous();
  const at::Tensor out =
      at::empty({rois.size(0), feat.size(1) / (output_size * output_size),
                 output_size, output_size},
                feat.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, feat.scalar_type(), "ps_roi_pool", [&] {
        using Real = at::opmath_type<scalar_t>;
        launch(pool_forward<scalar_t, Real>, out.numel(),
               pool_shape_of(feat, output_size),
               feat.const_data_ptr<scalar_t>(), table.const_data_ptr<Real>(),
               static_cast<Real>(spatial_scale), out.data_ptr<scalar_t>());
      });
  return out;
}

at::Tensor ps_roi_pool_backward_cuda(const at::Tensor& grad,
                                     const at::Tensor& rois,
                                     at::IntArrayRef feat_shape,
                                     double spatial_scale) {
  at::globalContext().alertNotDeterministic("ps_roi_pool_backward on CUDA");
  const c10::cuda::CUDAGuard guard(grad.device());
  check_ps_roi_pool_backward(grad, rois, feat_shape, spatial_scale);
  const at::Tensor sums = at::zeros(feat_shape, rois.options());
  const at::Tensor table = rois.contiguous(), source = grad.contiguous();
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, grad.scalar_type(), "ps_roi_pool_backward",
      [&] {
        using Real = at::opmath_type<scalar_t>;
        launch(pool_backward<scalar_t, Real>, grad.numel(),
               pool_shape_of(sums, grad.size(3)),
               source.const_data_ptr<scalar_t>(), table.const_data_ptr<Real>(),
               static_cast<Real>(spatial_scale), sums.data_ptr<Real>());
      });
  return sums.to(grad.scalar_type());
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY_IMPL(dff, CUDA, m) {
  m.impl("ps_roi_pool", dff::ps_roi_pool_cuda);
  m.impl("ps_roi_pool_backward", dff::ps_roi_pool_backward_cuda);
}
