// As step_factors.c, by one thread.
#define STEP_FUNCTION __device__ inline
#include "step_factors.h"

KERNEL(step_factors) {
  if (threadIdx.x > 0) return;
  double loss = 0, squares = 0;
  for (int64_t i = 0; i < INTEGER(6); i++) loss += load(POINTER(const real, 2) + i);
  for (int64_t i = 0; i < INTEGER(7); i++) {
    const double norm = load(POINTER(const real, 3) + i);
    squares += norm * norm;
  }
  finish_step(loss, squares, POINTER(const StepOutcome, 5)->t, POINTER(const StepSettings, 4), POINTER(StepFactors, 0),
              POINTER(StepOutcome, 1));
}
