// Position-sensitive RoI pooling on CPUs. All classes of a bin sum the same
// pixels, so we interleave the maps of kLanes classes and sum short rows. In
// the backward pass each channel has one thread, so no two write to one place.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "checks.h"
#include "ps_roi_bin.h"

namespace dff {
namespace {

constexpr int64_t kBinGrain = 256;
constexpr int64_t kLanes = 16;  // classes that are summed together

struct PlacedBin {
  int64_t image;
  Bin bin;
};

// Bins (P, P, R) of all RoIs. Raises if a batch index is out of range.
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
  const int64_t count = rois.size(0);
  std::vector<PlacedBin> placed(cells * count);
  at::parallel_for(
      0, cells * count, kBinGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const R* roi = data + i % count * 5;
          const int row = i / count / bins, column = i / count % bins;
          placed[i] = {static_cast<int64_t>(roi[0]),
                       bin_at(roi, static_cast<R>(spatial_scale), row, column,
                              bins, width, height)};
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

// Copies the maps of `count` <= kLanes classes, `cells` channels apart, to (h,
// w, lanes). The other lanes are not used. We copy row by row, so a row of
// lanes stays in the first cache.
template <typename T>
void interleave_maps(const at::Tensor& feat, int64_t image, int64_t channel,
                     int64_t cells, int64_t count, at::opmath_type<T>* lanes) {
  const int64_t height = feat.size(2), width = feat.size(3);
  const int64_t step = cells * feat.stride(1);
  const auto first = plane_at<T>(feat, image, channel);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t lane = 0; lane < count; ++lane) {
      const T* from = &first.at(y, 0) + lane * step;
      auto* to = lanes + y * width * kLanes + lane;
      for (int64_t x = 0; x < width; ++x) {
        to[x * kLanes] = from[x * first.column_stride];
      }
    }
  }
}

// Averages one bin for all lanes.
template <typename R>
void average(const Bin& bin, const R* lanes, int64_t width, R* mean) {
  R sum[kLanes] = {};
  for (int64_t y = bin.y0; y < bin.y1; ++y) {
    const R* pixel = lanes + (y * width + bin.x0) * kLanes;
    for (int64_t x = bin.x0; x < bin.x1; ++x, pixel += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) sum[lane] += pixel[lane];
    }
  }
  const int64_t area = bin.area();
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    mean[lane] = area == 0 ? R(0) : sum[lane] / R(area);
  }
}

template <typename T>
void pool(const at::Tensor& feat, const std::vector<PlacedBin>& placed,
          int64_t cells, const at::Tensor& out) {
  using R = at::opmath_type<T>;
  const int64_t rois = out.size(0), depth = out.size(1), width = feat.size(3);
  const int64_t groups = (depth + kLanes - 1) / kLanes;
  if (out.numel() == 0) return;
  T* result = out.data_ptr<T>();
  const int64_t tasks = feat.size(0) * cells * groups;
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    std::vector<R> lanes(feat.size(2) * width * kLanes);
    R mean[kLanes];
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / groups / cells, cell = task / groups % cells;
      const int64_t first = task % groups * kLanes;
      const int64_t count = std::min(kLanes, depth - first);
      interleave_maps<T>(feat, image, first * cells + cell, cells, count,
                         lanes.data());
      for (int64_t r = 0; r < rois; ++r) {
        const PlacedBin& bin = placed[cell * rois + r];
        if (bin.image != image) continue;
        average(bin.bin, lanes.data(), width, mean);
        T* to = result + (r * depth + first) * cells + cell;
        for (int64_t lane = 0; lane < count; ++lane)
          to[lane * cells] = mean[lane];
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
        const auto& [image, bin] = placed[c % cells * rois + r];
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
