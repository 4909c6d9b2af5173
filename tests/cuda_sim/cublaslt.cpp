// libcublasLt: products of 8-bit floats as plain loops, with f32 sums, for what tensor cores take: both matrices lie
// with their inner axis together, and sizes and addresses are multiples of 16.
#include "runtime.h"
#include <cmath>
#include <cstdlib>

enum { NOT_INITIALIZED = 1, INVALID = 7, ARCH_MISMATCH = 8, NOT_SUPPORTED = 15 };
enum { F32 = 0, E4M3 = 28, COMPUTE_F32 = 68 };
enum { TRANSPOSE_A = 3, TRANSPOSE_B = 4, MAX_WORKSPACE = 1, FIRST_ALIGNMENT = 5, LAST_ALIGNMENT = 8 };

struct Handle {
  int capability;
};
struct Product {
  int transpose_a = 0, transpose_b = 0;
};
struct LtLayout {
  int type;
  uint64_t rows, columns;
  int64_t leading;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment = 256; // which the library takes for granted unless it is told otherwise
};
// An algorithm remembers what it was made for, as far as 64 bytes go.
struct Algorithm {
  uint64_t mark, m, n, k, workspace, alignment, unused[2];
};
struct Result {
  Algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Algorithm) == 64 && sizeof(Result) == 96, "as the header has them");
static constexpr uint64_t MARK = 0xa160;

static float f32_of_e4m3(uint8_t code) {
  const int exponent = code >> 3 & 15, fraction = code & 7;
  const float size = exponent == 15 && fraction == 7 ? NAN
                     : exponent == 0                 ? ldexpf((float)fraction, -9)
                                                     : ldexpf(1 + (float)fraction / 8, exponent - 7);
  return code & 0x80 ? -size : size;
}

EXPORT size_t cublasLtGetVersion() { return 130000; }
EXPORT int cublasLtCreate(Handle **handle) {
  if (const int status = planted_failure("cublasLtCreate")) return status;
  const std::string given = setting("CUDASIM_CAPABILITY");
  return *handle = new Handle{given.empty() ? 90 : atoi(given.c_str())}, OK;
}

EXPORT int cublasLtMatmulDescCreate(Product **out, int compute, int scale) {
  if (compute != COMPUTE_F32 || scale != F32) return NOT_SUPPORTED;
  return *out = new Product, OK;
}
EXPORT int cublasLtMatmulDescSetAttribute(Product *product, int attribute, const int *value, size_t bytes) {
  if ((attribute != TRANSPOSE_A && attribute != TRANSPOSE_B) || bytes != 4) return INVALID;
  return (attribute == TRANSPOSE_A ? product->transpose_a : product->transpose_b) = *value, OK;
}

EXPORT int cublasLtMatrixLayoutCreate(LtLayout **out, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  if (leading < (int64_t)rows) return INVALID;
  return *out = new LtLayout{type, rows, columns, leading}, OK;
}

EXPORT int cublasLtMatmulPreferenceCreate(Preference **out) { return *out = new Preference, OK; }
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference *preference, int attribute, const void *value,
                                                size_t bytes) {
  if (attribute == MAX_WORKSPACE && bytes == 8) return preference->workspace = *(const uint64_t *)value, OK;
  if (attribute < FIRST_ALIGNMENT || attribute > LAST_ALIGNMENT || bytes != 4) return INVALID;
  return preference->alignment = *(const uint32_t *)value, OK;
}

// Whether there is a product of such matrices.
static int check(const Handle *handle, const Product *product, const LtLayout *a, const LtLayout *b,
                 const LtLayout *d) {
  if (!handle) return NOT_INITIALIZED;
  if (handle->capability < 89) return ARCH_MISMATCH;
  if (!product->transpose_a || product->transpose_b) return NOT_SUPPORTED;
  if (a->type != E4M3 || b->type != E4M3 || d->type != F32) return NOT_SUPPORTED;
  if (a->rows != b->rows || a->columns != d->rows || b->columns != d->columns) return INVALID;
  if (!a->rows || !a->columns || !b->columns) return INVALID;
  if (a->leading % 16 || b->leading % 16 || a->columns % 16 || a->rows % 16) return NOT_SUPPORTED;
  return OK;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(Handle *handle, Product *product, LtLayout *a, LtLayout *b, LtLayout *c,
                                          LtLayout *d, Preference *preference, int requested, Result *results,
                                          int *returned) {
  *returned = 0;
  if (requested < 1 || c != d) return INVALID;
  const int status = check(handle, product, a, b, d);
  if (status != OK) return status;
  const uint64_t workspace = preference->workspace < 4096 ? preference->workspace : 4096;
  const Algorithm algorithm = {MARK, d->rows, d->columns, a->rows, workspace, preference->alignment, {}};
  results[0] = {algorithm, workspace, OK, 1, {}};
  return *returned = 1, OK;
}

EXPORT int cublasLtMatmul(Handle *handle, Product *product, const float *alpha, const uint8_t *a, LtLayout *layout_a,
                          const uint8_t *b, LtLayout *layout_b, const float *beta, const float *c, LtLayout *layout_c,
                          float *d, LtLayout *layout_d, const Algorithm *algorithm, void *workspace, size_t bytes,
                          Stream *stream) {
  if (const int status = planted_failure("cublasLtMatmul")) return status;
  const int status = check(handle, product, layout_a, layout_b, layout_d);
  if (status != OK) return status;
  const LtLayout left = *layout_a, right = *layout_b, out = *layout_d;
  const uint64_t k = left.rows;
  const bool made_for_it = algorithm->mark == MARK && algorithm->m == out.rows && algorithm->n == out.columns &&
                           algorithm->k == k && algorithm->workspace <= bytes;
  if (!made_for_it || c != d || layout_c != layout_d || *beta != 0) return INVALID;
  for (const void *address : {(const void *)a, (const void *)b, (const void *)d})
    if ((uintptr_t)address % algorithm->alignment) return INVALID;
  const bool fits = is_allocated((uintptr_t)a, (size_t)left.leading * left.columns) &&
                    is_allocated((uintptr_t)b, (size_t)right.leading * right.columns) &&
                    is_allocated((uintptr_t)d, (size_t)out.leading * out.columns * 4) &&
                    is_allocated((uintptr_t)workspace, algorithm->workspace);
  if (!fits) return INVALID;
  const float factor = *alpha;
  return enqueue(stream, [=] {
    for (uint64_t j = 0; j < out.columns; j++)
      for (uint64_t i = 0; i < out.rows; i++) {
        float sum = 0;
        for (uint64_t l = 0; l < k; l++)
          sum += f32_of_e4m3(a[i * (uint64_t)left.leading + l]) * f32_of_e4m3(b[j * (uint64_t)right.leading + l]);
        d[j * (uint64_t)out.leading + i] = factor * sum;
      }
    return OK;
  });
}
