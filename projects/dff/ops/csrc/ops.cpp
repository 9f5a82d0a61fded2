// Schemas of the operators, argument checks and autocast. The kernels are in
// cpu/ and cuda/; fake implementations and autograd are in Python.
#include <ATen/autocast_mode.h>
#include <Python.h>
#include <torch/library.h>

#include "checks.h"

namespace dff {
namespace {

constexpr int64_t kMostBins = 1024;  // its square does not overflow

// The name of a type in Python.
std::string name_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    default:
      return c10::toString(type);
  }
}

std::string type_of(const at::Tensor& tensor) {
  return name_of(tensor.scalar_type());
}

// Coordinates need 32 bits: float16 is off by half a pixel at 1024.
at::ScalarType coordinate_type(const at::Tensor& feat) {
  return feat.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

void check_type(const char* name, const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  TORCH_CHECK_TYPE(type == at::kFloat || type == at::kDouble ||
                       type == at::kHalf || type == at::kBFloat16,
                   name, " must be float32, float64, float16 or bfloat16, got ",
                   name_of(type));
}

void check_same_device(const char* name, const at::Tensor& tensor,
                       const at::Tensor& feat) {
  TORCH_CHECK_VALUE(tensor.device() == feat.device(), name,
                    " must be on the device of feat, ", feat.device(), ", got ",
                    tensor.device());
}

void check_shape(const char* name, const at::Tensor& tensor,
                 c10::SymIntArrayRef expected) {
  TORCH_CHECK_VALUE(tensor.sym_sizes() == expected, name, " must be of shape ",
                    expected, ", got ", tensor.sym_sizes());
}

void check_rois(const at::Tensor& rois, const at::Tensor& feat) {
  check_same_device("rois", rois, feat);
  TORCH_CHECK_VALUE(rois.dim() == 2 && rois.sym_size(1) == 5,
                    "rois must be (R, 5), got ", rois.sym_sizes());
  TORCH_CHECK_TYPE(rois.scalar_type() == coordinate_type(feat), "rois must be ",
                   name_of(coordinate_type(feat)), " for feat of ",
                   type_of(feat), ", got ", type_of(rois));
}

}  // namespace

void check_feature_warp(const at::Tensor& feat, const at::Tensor& flow,
                        const std::optional<at::Tensor>& scale) {
  TORCH_CHECK_VALUE(feat.dim() == 4, "feat must be (N, C, h, w), got ",
                    feat.sym_sizes());
  check_type("feat", feat);
  const auto shape = feat.sym_sizes();
  check_same_device("flow", flow, feat);
  check_shape("flow", flow, {shape[0], 2, shape[2], shape[3]});
  TORCH_CHECK_TYPE(flow.scalar_type() == coordinate_type(feat), "flow must be ",
                   name_of(coordinate_type(feat)), " for feat of ",
                   type_of(feat), ", got ", type_of(flow));
  if (!scale.has_value()) return;
  check_same_device("scale", *scale, feat);
  check_shape("scale", *scale, shape);
  TORCH_CHECK_TYPE(scale->scalar_type() == feat.scalar_type(),
                   "scale must be of the type of feat, ", type_of(feat),
                   ", got ", type_of(*scale));
}

void check_ps_roi_pool(const at::Tensor& feat, const at::Tensor& rois,
                       int64_t output_size, double spatial_scale) {
  TORCH_CHECK_VALUE(feat.dim() == 4, "feat must be (N, D*P*P, h, w), got ",
                    feat.sym_sizes());
  check_type("feat", feat);
  TORCH_CHECK_VALUE(output_size >= 1 && output_size <= kMostBins,
                    "output_size must be in [1, ", kMostBins, "], got ",
                    output_size);
  TORCH_CHECK_VALUE(spatial_scale > 0, "spatial_scale must be above 0, got ",
                    spatial_scale);
  TORCH_CHECK_VALUE(
      feat.sym_size(1) % (output_size * output_size) == 0,
      "channels of feat must be a multiple of output_size ** 2 = ",
      output_size * output_size, ", got ", feat.sym_size(1));
  check_rois(rois, feat);
}

void check_ps_roi_pool_backward(const at::Tensor& grad, const at::Tensor& rois,
                                at::IntArrayRef feat_shape,
                                double spatial_scale) {
  check_type("grad", grad);
  check_rois(rois, grad);
  TORCH_CHECK_VALUE(spatial_scale > 0, "spatial_scale must be above 0, got ",
                    spatial_scale);
  TORCH_CHECK_VALUE(
      feat_shape.size() == 4 && grad.dim() == 4 &&
          grad.size(0) == rois.size(0) && grad.size(2) == grad.size(3) &&
          grad.size(1) * grad.size(2) * grad.size(3) == feat_shape[1],
      "grad must be (R, D, P, P) = ", rois.size(0), " pooled from (N, D*P*P, ",
      "h, w) = ", feat_shape, ", got ", grad.sizes());
}

void check_upsample_argmax(const at::Tensor& scores, int64_t height,
                           int64_t width) {
  TORCH_CHECK_VALUE(
      scores.dim() == 4 && scores.sym_size(1) >= 1 && scores.sym_size(2) >= 1 &&
          scores.sym_size(3) >= 1,
      "scores must be (N, K, h, w) with at least one class and cell, got ",
      scores.sym_sizes());
  check_type("scores", scores);
  TORCH_CHECK_VALUE(height >= 1 && width >= 1,
                    "size must be positive (H, W), got (", height, ", ", width,
                    ")");
}

namespace {

// Under autocast flow, scale and features arrive in any mix of types. Convert
// scale to the type of feat, and coordinates to 32 bits.
template <c10::DispatchKey kKey>
at::Tensor feature_warp_autocast(const at::Tensor& feat, const at::Tensor& flow,
                                 const std::optional<at::Tensor>& scale) {
  c10::impl::ExcludeDispatchKeyGuard no_autocast(kKey);
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("dff::feature_warp", "")
                       .typed<decltype(feature_warp_autocast<kKey>)>();
  std::optional<at::Tensor> typed_scale;
  if (scale.has_value()) typed_scale = scale->to(feat.scalar_type());
  return op.call(feat, flow.to(coordinate_type(feat)), typed_scale);
}

template <c10::DispatchKey kKey>
at::Tensor ps_roi_pool_autocast(const at::Tensor& feat, const at::Tensor& rois,
                                int64_t output_size, double spatial_scale) {
  c10::impl::ExcludeDispatchKeyGuard no_autocast(kKey);
  static auto op = c10::Dispatcher::singleton()
                       .findSchemaOrThrow("dff::ps_roi_pool", "")
                       .typed<decltype(ps_roi_pool_autocast<kKey>)>();
  return op.call(feat, rois.to(coordinate_type(feat)), output_size,
                 spatial_scale);
}

}  // namespace
}  // namespace dff

TORCH_LIBRARY(dff, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("feature_warp(Tensor feat, Tensor flow, Tensor? scale) -> Tensor",
        tags);
  // Gradients of feat, flow and scale; empty where not needed.
  m.def(
      "feature_warp_backward(Tensor grad, Tensor feat, Tensor flow, "
      "Tensor? scale, bool[3] needed) -> (Tensor, Tensor, Tensor)",
      tags);
  m.def(
      "ps_roi_pool(Tensor feat, Tensor rois, int output_size, "
      "float spatial_scale) -> Tensor",
      tags);
  m.def(
      "ps_roi_pool_backward(Tensor grad, Tensor rois, SymInt[] feat_shape, "
      "float spatial_scale) -> Tensor",
      tags);
  m.def(
      "upsample_argmax(Tensor scores, int height, int width, "
      "bool align_corners) -> Tensor",
      tags);
  // Only the checks, for the fake implementations in Python.
  m.def("_check_feature_warp(Tensor feat, Tensor flow, Tensor? scale) -> ()",
        &dff::check_feature_warp, tags);
  m.def(
      "_check_ps_roi_pool(Tensor feat, Tensor rois, int output_size, "
      "float spatial_scale) -> ()",
      &dff::check_ps_roi_pool, tags);
  m.def("_check_upsample_argmax(Tensor scores, int height, int width) -> ()",
        &dff::check_upsample_argmax, tags);
}

TORCH_LIBRARY_IMPL(dff, AutocastCPU, m) {
  constexpr auto key = c10::DispatchKey::AutocastCPU;
  m.impl("feature_warp", dff::feature_warp_autocast<key>);
  m.impl("ps_roi_pool", dff::ps_roi_pool_autocast<key>);
}

TORCH_LIBRARY_IMPL(dff, AutocastCUDA, m) {
  constexpr auto key = c10::DispatchKey::AutocastCUDA;
  m.impl("feature_warp", dff::feature_warp_autocast<key>);
  m.impl("ps_roi_pool", dff::ps_roi_pool_autocast<key>);
}

// Importing this Python module registers the operators above.
PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef module{PyModuleDef_HEAD_INIT, "_C", nullptr, 0};
  return PyModule_Create(&module);
}
