// libcublas: products of matrices as plain loops, with f32 sums.
#include "runtime.h"

enum { NOT_INITIALIZED = 1, INVALID = 7, NOT_SUPPORTED = 15 };
enum { F32 = 0, BF16 = 14, COMPUTE_F32 = 68, COMPUTE_TF32 = 77 };

struct Cublas {
  Stream *stream = nullptr;
};

static float load(const void *p, int type, int64_t i) {
  if (type == F32) return ((const float *)p)[i];
  const uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static void store(void *p, int type, int64_t i, float value) {
  if (type == F32) {
    ((float *)p)[i] = value;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &value, 4);
  ((uint16_t *)p)[i] = value != value ? 0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int64_t bytes_of(int type) { return type == F32 ? 4 : 2; }

// A [rows, columns] matrix that lies column by column.
struct Matrix {
  const char *data;
  int type;
  int64_t leading, stride;
  bool fits(int64_t rows, int64_t columns, int64_t batch) const {
    const int64_t elements = (batch - 1) * stride + (columns - 1) * leading + rows;
    const size_t bytes = (size_t)(elements * bytes_of(type));
    return leading >= rows && (type == F32 || type == BF16) && is_allocated((uintptr_t)data, bytes);
  }
};

// The nearest number with 10 bits of mantissa, as tensor cores read f32.
static float tf32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
  memcpy(&value, &bits, sizeof bits);
  return value;
}

static int multiply(Cublas *handle, int ta, int tb, int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b,
                    float beta, Matrix c, int64_t batch, int compute) {
  if (!handle) return NOT_INITIALIZED;
  const bool rounded = compute == COMPUTE_TF32;
  if ((compute != COMPUTE_F32 && !(rounded && a.type == F32)) || (a.type != b.type) || (a.type == F32 && c.type != F32)) return NOT_SUPPORTED;
  if (m < 1 || n < 1 || k < 1 || batch < 1) return INVALID;
  if (!a.fits(ta ? k : m, ta ? m : k, batch) || !b.fits(tb ? n : k, tb ? k : n, batch) || !c.fits(m, n, batch))
    return INVALID;
  return enqueue(handle->stream, [=] {
    for (int64_t s = 0; s < batch; s++)
      for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
          float sum = 0;
          for (int64_t l = 0; l < k; l++) {
            const float x = load(a.data, a.type, s * a.stride + (ta ? i * a.leading + l : l * a.leading + i));
            const float y = load(b.data, b.type, s * b.stride + (tb ? l * b.leading + j : j * b.leading + l));
            sum += rounded ? tf32(x) * tf32(y) : x * y;
          }
          const int64_t at = s * c.stride + j * c.leading + i;
          store((void *)c.data, c.type, at, alpha * sum + (beta != 0 ? beta * load(c.data, c.type, at) : 0));
        }
    return OK;
  });
}

EXPORT int cublasCreate_v2(Cublas **handle) {
  if (const int status = planted_failure("cublasCreate_v2")) return status;
  return *handle = new Cublas, OK;
}
EXPORT int cublasSetStream_v2(Cublas *handle, Stream *stream) { return handle->stream = stream, OK; }
EXPORT int cublasSetWorkspace_v2(Cublas *, void *, size_t) { return OK; }
EXPORT int cublasSetMathMode(Cublas *, int) { return OK; }
EXPORT int cublasGetVersion_v2(Cublas *, int *version) { return *version = 130000, OK; }
EXPORT const char *cublasGetStatusName(int status) {
  switch (status) {
    case NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case INVALID: return "CUBLAS_STATUS_INVALID_VALUE";
    case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
}
EXPORT const char *cublasGetStatusString(int) { return "simulated cuBLAS"; }

EXPORT int cublasGemmEx(Cublas *handle, int ta, int tb, int m, int n, int k, const float *alpha, const char *a,
                        int a_type, int lda, const char *b, int b_type, int ldb, const float *beta, char *c, int c_type,
                        int ldc, int compute, int) {
  return multiply(handle, ta, tb, m, n, k, *alpha, {a, a_type, lda, 0}, {b, b_type, ldb, 0}, *beta,
                  {c, c_type, ldc, 0}, 1, compute);
}
EXPORT int cublasGemmStridedBatchedEx(Cublas *handle, int ta, int tb, int m, int n, int k, const float *alpha,
                                      const char *a, int a_type, int lda, int64_t stride_a, const char *b, int b_type,
                                      int ldb, int64_t stride_b, const float *beta, char *c, int c_type, int ldc,
                                      int64_t stride_c, int batch, int compute, int) {
  return multiply(handle, ta, tb, m, n, k, *alpha, {a, a_type, lda, stride_a}, {b, b_type, ldb, stride_b}, *beta,
                  {c, c_type, ldc, stride_c}, batch, compute);
}
