// Vectors of DFF_VECTOR_BYTES as compiler vector types, with loads and stores
// that convert 16-bit floats. Each instruction set includes this in its own
// namespace (DFF_ISA), so the linker never merges two copies. torch's at::vec
// was slower here and needs compiler flags per file: see docs/benchmark_op.md.
#pragma once

#include <cstdint>
#include <cstring>
#if DFF_VECTOR_BYTES > 16
#include <immintrin.h>
#else
#include <c10/util/Half.h>
#endif

#include "cpu/warp_task.h"

#define DFF_INLINE static inline __attribute__((always_inline))

namespace dff {
namespace DFF_ISA {

typedef float FloatVector __attribute__((vector_size(DFF_VECTOR_BYTES)));
typedef double DoubleVector __attribute__((vector_size(DFF_VECTOR_BYTES)));
typedef uint32_t Uint32Vector __attribute__((vector_size(DFF_VECTOR_BYTES)));
typedef uint16_t Uint16Vector
    __attribute__((vector_size(DFF_VECTOR_BYTES / 2)));

template <typename R>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = FloatVector;
  using Index = int32_t __attribute__((vector_size(DFF_VECTOR_BYTES)));
};
template <>
struct VectorOf<double> {
  using type = DoubleVector;
  using Index = int64_t __attribute__((vector_size(DFF_VECTOR_BYTES)));
};
template <typename R>
using Vector = typename VectorOf<R>::type;
template <typename R>
constexpr int kLanes = DFF_VECTOR_BYTES / sizeof(R);

DFF_INLINE FloatVector load(const float* data) {
  FloatVector value;
  std::memcpy(&value, data, sizeof(value));
  return value;
}

DFF_INLINE DoubleVector load(const double* data) {
  DoubleVector value;
  std::memcpy(&value, data, sizeof(value));
  return value;
}

DFF_INLINE FloatVector load(const BFloat16* data) {
  Uint16Vector bits;
  std::memcpy(&bits, data, sizeof(bits));
  return reinterpret_cast<FloatVector>(
      __builtin_convertvector(bits, Uint32Vector) << 16);
}

DFF_INLINE void store(float* data, FloatVector value) {
  std::memcpy(data, &value, sizeof(value));
}

DFF_INLINE void store(double* data, DoubleVector value) {
  std::memcpy(data, &value, sizeof(value));
}

// Rounds to nearest even, as torch does; nan stays nan.
DFF_INLINE void store(BFloat16* data, FloatVector value) {
  const Uint32Vector bits = reinterpret_cast<Uint32Vector>(value);
  const Uint32Vector rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Uint32Vector is_nan = reinterpret_cast<Uint32Vector>(value != value);
  const Uint16Vector result = __builtin_convertvector(
      (is_nan & 0x7fc0) | (~is_nan & rounded), Uint16Vector);
  std::memcpy(data, &result, sizeof(result));
}

#if DFF_VECTOR_BYTES == 64
DFF_INLINE FloatVector load(const Half* data) {
  return _mm512_cvtph_ps(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data)));
}

DFF_INLINE void store(Half* data, FloatVector value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(data),
                      _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}
#elif DFF_VECTOR_BYTES == 32
DFF_INLINE FloatVector load(const Half* data) {
  return _mm256_cvtph_ps(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(data)));
}

DFF_INLINE void store(Half* data, FloatVector value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(data),
                   _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}
#else
DFF_INLINE FloatVector load(const Half* data) {
  FloatVector value;
  for (int i = 0; i < kLanes<float>; ++i) {
    value[i] = c10::Half(data[i].bits, c10::Half::from_bits());
  }
  return value;
}

DFF_INLINE void store(Half* data, FloatVector value) {
  for (int i = 0; i < kLanes<float>; ++i) {
    data[i].bits = c10::Half(value[i]).x;
  }
}
#endif

// Only the first `count` lanes: load sets the others to zero, store does not
// write them.
template <typename T>
DFF_INLINE Vector<Real<T>> load_some(const T* data, int count) {
  T buffer[kLanes<Real<T>>] = {};
  std::memcpy(buffer, data, count * sizeof(T));
  return load(buffer);
}

template <typename T>
DFF_INLINE void store_some(T* data, Vector<Real<T>> value, int count) {
  T buffer[kLanes<Real<T>>];
  store(buffer, value);
  std::memcpy(data, buffer, count * sizeof(T));
}

// The same, fast if `count` is all lanes.
template <typename T>
DFF_INLINE Vector<Real<T>> load_upto(const T* data, int count) {
  return count == kLanes<Real<T>> ? load(data) : load_some(data, count);
}

template <typename T>
DFF_INLINE void store_upto(T* data, Vector<Real<T>> value, int count) {
  if (count == kLanes<Real<T>>) {
    store(data, value);
  } else {
    store_some(data, value, count);
  }
}

}  // namespace DFF_ISA
}  // namespace dff
