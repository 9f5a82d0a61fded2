// Checks of the arguments, defined beside the schemas in ops.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dff {

void check_feature_warp(const at::Tensor& feat, const at::Tensor& flow,
                        const std::optional<at::Tensor>& scale);
void check_ps_roi_pool(const at::Tensor& feat, const at::Tensor& rois,
                       int64_t output_size, double spatial_scale);
void check_ps_roi_pool_backward(const at::Tensor& grad, const at::Tensor& rois,
                                at::IntArrayRef feat_shape,
                                double spatial_scale);
void check_upsample_argmax(const at::Tensor& scores, int64_t height,
                           int64_t width);

// The memory layout of the kernels: channels-last if `feat` is channels-last.
inline at::MemoryFormat layout_of(const at::Tensor& feat) {
  const bool is_last = !feat.is_contiguous() &&
                       feat.is_contiguous(at::MemoryFormat::ChannelsLast);
  return is_last ? at::MemoryFormat::ChannelsLast
                 : at::MemoryFormat::Contiguous;
}

}  // namespace dff
