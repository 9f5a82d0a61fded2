// Labels of enlarged score maps on CPUs. Only one row of enlarged scores exists
// at a time. Rows of cells are enlarged along x once, and all pixel rows
// between two of them blend these along y.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <vector>

#include "checks.h"
#include "upsample_taps.h"

namespace dff {
namespace {

constexpr int64_t kRowGrain = 4;

// Two rows of cells of all classes, enlarged along x: [class][pixel].
template <typename T, typename Real>
class WideRows {
 public:
  WideRows(const T* scores, int64_t classes, int64_t height, int64_t width,
           const std::vector<SideTaps<Real>>& columns)
      : scores_(scores),
        classes_(classes),
        height_(height),
        width_(width),
        columns_(columns) {}

  const Real* at(int64_t image, int64_t row) {
    const int64_t wanted = image * height_ + row;
    Slot& slot = slots_[row % 2];
    if (slot.row != wanted) fill(slot, image, row, wanted);
    return slot.values.data();
  }

 private:
  struct Slot {
    int64_t row = -1;
    std::vector<Real> values;
  };

  void fill(Slot& slot, int64_t image, int64_t row, int64_t wanted) {
    const int64_t pixels = columns_.size();
    slot.row = wanted;
    slot.values.resize(classes_ * pixels);
    for (int64_t k = 0; k < classes_; ++k) {
      const T* source =
          scores_ + ((image * classes_ + k) * height_ + row) * width_;
      Real* wide = slot.values.data() + k * pixels;
      for (int64_t x = 0; x < pixels; ++x) {
        const SideTaps<Real>& taps = columns_[x];
        wide[x] = static_cast<Real>(source[taps.first]) * taps.first_weight +
                  static_cast<Real>(source[taps.second]) * taps.second_weight;
      }
    }
  }

  const T* scores_;
  int64_t classes_, height_, width_;
  const std::vector<SideTaps<Real>>& columns_;
  Slot slots_[2];
};

// The best class of each pixel of a row between two rows of cells.
template <typename Real>
void label_row(const Real* above, const Real* below, const SideTaps<Real>& taps,
               int64_t classes, int64_t pixels, Real* best, int32_t* lead) {
  const Real upper = taps.first_weight, lower = taps.second_weight;
  for (int64_t x = 0; x < pixels; ++x) {
    best[x] = above[x] * upper + below[x] * lower;
    lead[x] = 0;
  }
  for (int64_t k = 1; k < classes; ++k) {
    above += pixels;
    below += pixels;
    const int32_t label = static_cast<int32_t>(k);
    for (int64_t x = 0; x < pixels; ++x) {
      const Real value = above[x] * upper + below[x] * lower;
      const bool is_ahead = leads(value, best[x]);
      best[x] = is_ahead ? value : best[x];
      lead[x] = is_ahead ? label : lead[x];
    }
  }
}

template <typename T>
void label_all(const at::Tensor& scores, bool align_corners,
               const at::Tensor& out) {
  using Real = at::opmath_type<T>;
  const int64_t classes = scores.size(1), height = scores.size(2),
                width = scores.size(3);
  const int64_t rows = out.size(1), pixels = out.size(2);
  const Real row_step = upsample_step<Real>(height, rows, align_corners);
  const Real column_step = upsample_step<Real>(width, pixels, align_corners);
  std::vector<SideTaps<Real>> columns(pixels);
  for (int64_t x = 0; x < pixels; ++x) {
    columns[x] = upsample_taps(x, width, column_step, align_corners);
  }
  int64_t* labels = out.data_ptr<int64_t>();
  const T* data = scores.const_data_ptr<T>();
  at::parallel_for(
      0, out.size(0) * rows, kRowGrain, [&](int64_t begin, int64_t end) {
        WideRows<T, Real> wide(data, classes, height, width, columns);
        std::vector<Real> best(pixels);
        std::vector<int32_t> lead(pixels);
        for (int64_t i = begin; i < end; ++i) {
          const int64_t image = i / rows;
          const auto taps =
              upsample_taps(i % rows, height, row_step, align_corners);
          const Real* above = wide.at(image, taps.first);
          // At the border both are the same row, so its slot is not filled
          // again.
          const Real* below = wide.at(image, taps.second);
          label_row(above, below, taps, classes, pixels, best.data(),
                    lead.data());
          for (int64_t x = 0; x < pixels; ++x) labels[i * pixels + x] = lead[x];
        }
      });
}

at::Tensor upsample_argmax_cpu(const at::Tensor& scores, int64_t height,
                               int64_t width, bool align_corners) {
  check_upsample_argmax(scores, height, width);
  const at::Tensor out = at::empty({scores.size(0), height, width},
                                   scores.options().dtype(at::kLong));
  if (out.numel() == 0) return out;
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, scores.scalar_type(), "upsample_argmax",
      [&] { label_all<scalar_t>(scores.contiguous(), align_corners, out); });
  return out;
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY_IMPL(dff, CPU, m) {
  m.impl("upsample_argmax", dff::upsample_argmax_cpu);
}
