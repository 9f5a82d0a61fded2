// Host side of the warp on CPUs: distributes the work over threads.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "cpu/output.h"
#include "cpu/warp_call.h"

namespace dff {
namespace {

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
    for_each_run(call, [&](int64_t image, int64_t begin, int64_t end) {
      kernels.forward_last(task_of(image), begin, end);
    });
    return;
  }
  const int64_t groups = call.groups(kernels.lanes);
  at::parallel_for(0, call.images * groups, 1, [&](int64_t begin, int64_t end) {
    const std::unique_ptr<R[]> scratch(
        new R[call.shape.pixels * kernels.lanes]);
    for (int64_t i = begin; i < end; ++i) {
      kernels.forward_planar(task_of(i / groups), i % groups * kernels.lanes,
                             scratch.get());
    }
  });
}

// Sums the parts (images, parts, 2, pixels) of the gradient of the flow, in a
// fixed order.
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

// Inputs (scale may be undefined) and wanted gradients (empty if not wanted).
template <typename T>
struct Gradients {
  at::Tensor grad, feat, scale;
  at::Tensor grad_feat, grad_flow, grad_scale;

  BackwardTask<T> task(const Call<T>& call, const Taps<Real<T>>* table,
                       int64_t image) const {
    return {call.shape,
            call.at_image(grad, image),
            call.at_image(feat, image),
            call.at_image(scale, image),
            call.at_image(grad_feat, image),
            call.at_image(grad_scale, image),
            table + image * call.shape.pixels};
  }

  Real<T>* flow_data() const {
    return grad_flow.numel() ? static_cast<Real<T>*>(grad_flow.data_ptr())
                             : nullptr;
  }
};

// Calls run(i, image, first channel, last channel, scratch) for each part i of
// all images, in parallel.
template <typename T, typename F>
void for_each_part(const Call<T>& call, int64_t lanes, int64_t scratch_size,
                   const F& run) {
  const int64_t parts = call.parts(lanes), groups = call.groups(lanes);
  at::parallel_for(0, call.images * parts, 1, [&](int64_t begin, int64_t end) {
    const std::unique_ptr<Real<T>[]> scratch(new Real<T>[scratch_size]);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % parts * groups / parts;
      const int64_t last = (i % parts + 1) * groups / parts;
      run(i, i / parts, first * lanes,
          std::min(call.shape.channels, last * lanes), scratch.get());
    }
  });
}

template <typename T>
void run_backward_planar(const Call<T>& call, const Gradients<T>& gradients,
                         const Taps<Real<T>>* table) {
  using R = Real<T>;
  const WarpKernels<T>& kernels = choose_kernels<T>();
  const int64_t size = 2 * call.shape.pixels, parts = call.parts(kernels.lanes);
  R* grad_flow = gradients.flow_data();
  std::vector<R> sums(grad_flow ? call.images * parts * size : 0);
  for_each_part(
      call, kernels.lanes, size * kernels.lanes,
      [&](int64_t i, int64_t image, int64_t begin, int64_t end, R* scratch) {
        kernels.backward_planar(gradients.task(call, table, image), begin, end,
                                scratch,
                                grad_flow ? sums.data() + i * size : nullptr);
      });
  if (grad_flow) sum_parts(sums, call.images, parts, size, grad_flow);
}

template <typename T>
void run_backward_last(const Call<T>& call, const Gradients<T>& gradients,
                       const Taps<Real<T>>* table) {
  using R = Real<T>;
  const WarpKernels<T>& kernels = choose_kernels<T>();
  const int64_t pixels = call.shape.pixels;
  R* grad_flow = gradients.flow_data();
  if (grad_flow || gradients.grad_scale.numel()) {
    for_each_run(call, [&](int64_t image, int64_t begin, int64_t end) {
      kernels.backward_gather(
          gradients.task(call, table, image), begin, end,
          grad_flow ? grad_flow + image * 2 * pixels : nullptr);
    });
  }
  if (!gradients.grad_feat.numel()) return;
  const int64_t parts = call.parts(kernels.lanes);
  const int64_t groups = (call.groups(kernels.lanes) + parts - 1) / parts;
  for_each_part(
      call, kernels.lanes, pixels * groups * kernels.lanes,
      [&](int64_t, int64_t image, int64_t begin, int64_t end, R* scratch) {
        kernels.backward_scatter(gradients.task(call, table, image), begin, end,
                                 scratch);
      });
}

template <typename T>
void run_backward(const Gradients<T>& gradients, const at::Tensor& flow) {
  const Call<T> call(gradients.feat, flow);
  const auto table = fill_table<Taps<Real<T>>>(
      call.pixels(), [&](int64_t pixel) { return call.taps(pixel); });
  const auto run =
      call.shape.channels_last ? run_backward_last<T> : run_backward_planar<T>;
  run(call, gradients, table.data());
}

at::Tensor feature_warp_cpu(const at::Tensor& feat, const at::Tensor& flow,
                            const std::optional<at::Tensor>& scale) {
  check_feature_warp(feat, flow, scale);
  const auto format = layout_of(feat);
  const at::Tensor source = feat.contiguous(format);
  const at::Tensor factor =
      scale.has_value() ? scale->contiguous(format) : at::Tensor();
  const at::Tensor out = empty_output(source, format);
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
    return empty_output(like, format);
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
          using Stored = typename StoredAs<scalar_t>::type;
          run_backward(
              Gradients<Stored>{grad.contiguous(format), source, factor,
                                grad_feat, grad_flow, grad_scale},
              flow);
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
