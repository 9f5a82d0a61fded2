// Position-sensitive RoI pooling on CPUs, a thread a channel: no two threads
// write to one channel of the gradient.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <vector>

#include "checks.h"
#include "ps_roi_bin.h"

namespace dff {
namespace {

constexpr int64_t kBinGrain = 256;

struct PlacedBin {
  int64_t image;
  Bin bin;
};

// Bins (R, P, P) of all RoIs. A RoI of no image is an error.
template <typename R>
std::vector<PlacedBin> place_bins(const at::Tensor& rois, int bins,
                                  double spatial_scale, int64_t images,
                                  int64_t width, int64_t height) {
  const at::Tensor table = rois.contiguous();
  const R* data = table.const_data_ptr<R>();
  const int64_t cells = bins * bins;
  for (int64_t r = 0; r < rois.size(0); ++r) {
    TORCH_CHECK_VALUE(data[5 * r] >= 0 && data[5 * r] < images,
                      "batch index of rois must be in [0, ", images, "), got ",
                      data[5 * r], " in row ", r);
  }
  std::vector<PlacedBin> placed(rois.size(0) * cells);
  at::parallel_for(0, rois.size(0) * cells, kBinGrain,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const R* roi = data + i / cells * 5;
                       const int row = i % cells / bins, column = i % bins;
                       placed[i] = {static_cast<int64_t>(roi[0]),
                                    bin_at(roi, static_cast<R>(spatial_scale),
                                           row, column, bins, width, height)};
                     }
                   });
  return placed;
}

template <typename T>
struct Plane {
  T* data;
  int64_t row_stride, column_stride;

  T& at(int64_t y, int64_t x) const {
    return data[y * row_stride + x * column_stride];
  }
};

template <typename T>
Plane<T> plane_at(const at::Tensor& map, int64_t image, int64_t channel) {
  return {map.data_ptr<T>() + image * map.stride(0) + channel * map.stride(1),
          map.stride(2), map.stride(3)};
}

template <typename T>
void pool(const at::Tensor& feat, const std::vector<PlacedBin>& placed,
          int64_t cells, const at::Tensor& out) {
  using R = at::opmath_type<T>;
  const int64_t channels = feat.size(1), rois = out.size(0);
  T* result = out.data_ptr<T>();
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t r = 0; r < rois; ++r) {
        const auto& [image, bin] = placed[r * cells + c % cells];
        const Plane<T> plane = plane_at<T>(feat, image, c);
        R sum = 0;
        for (int64_t y = bin.y0; y < bin.y1; ++y) {
          for (int64_t x = bin.x0; x < bin.x1; ++x) sum += plane.at(y, x);
        }
        const int64_t area = bin.area();
        result[r * channels + c] = area == 0 ? R(0) : sum / R(area);
      }
    }
  });
}

template <typename T>
void unpool(const at::Tensor& grad, const std::vector<PlacedBin>& placed,
            int64_t cells, const at::Tensor& grad_feat) {
  const int64_t channels = grad_feat.size(1), rois = grad.size(0);
  const T* source = grad.const_data_ptr<T>();
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t r = 0; r < rois; ++r) {
        const auto& [image, bin] = placed[r * cells + c % cells];
        if (bin.area() == 0) continue;
        const T share = source[r * channels + c] / T(bin.area());
        const Plane<T> plane = plane_at<T>(grad_feat, image, c);
        for (int64_t y = bin.y0; y < bin.y1; ++y) {
          for (int64_t x = bin.x0; x < bin.x1; ++x) plane.at(y, x) += share;
        }
      }
    }
  });
}

at::Tensor ps_roi_pool_cpu(const at::Tensor& feat, const at::Tensor& rois,
                           int64_t output_size, double spatial_scale) {
  check_ps_roi_pool(feat, rois, output_size, spatial_scale);
  const int64_t cells = output_size * output_size;
  const at::Tensor out =
      at::empty({rois.size(0), feat.size(1) / cells, output_size, output_size},
                feat.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, feat.scalar_type(), "ps_roi_pool", [&] {
        const auto placed = place_bins<at::opmath_type<scalar_t>>(
            rois, output_size, spatial_scale, feat.size(0), feat.size(3),
            feat.size(2));
        pool<scalar_t>(feat, placed, cells, out);
      });
  return out;
}

at::Tensor ps_roi_pool_backward_cpu(const at::Tensor& grad,
                                    const at::Tensor& rois,
                                    at::IntArrayRef feat_shape,
                                    double spatial_scale) {
  check_ps_roi_pool_backward(grad, rois, feat_shape, spatial_scale);
  const int64_t output_size = grad.size(3);
  // 16-bit gradients are summed in float, as the forward pass sums.
  const auto type = rois.scalar_type();
  const at::Tensor grad_feat = at::zeros(feat_shape, rois.options());
  AT_DISPATCH_FLOATING_TYPES(type, "ps_roi_pool_backward", [&] {
    const auto placed =
        place_bins<scalar_t>(rois, output_size, spatial_scale, feat_shape[0],
                             feat_shape[3], feat_shape[2]);
    unpool<scalar_t>(grad.to(type).contiguous(), placed,
                     output_size * output_size, grad_feat);
  });
  return grad_feat.to(grad.scalar_type());
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY_IMPL(dff, CPU, m) {
  m.impl("ps_roi_pool", dff::ps_roi_pool_cpu);
  m.impl("ps_roi_pool_backward", dff::ps_roi_pool_backward_cpu);
}
