// Slots: 0 factors: StepFactors, 1 outcome: StepOutcome, 2 losses, 3 norms, 4 settings: StepSettings, 5 the outcome before,
// 6 count of losses, 7 count of norms.
#include "kernel.h"
#define STEP_FUNCTION static inline
#include "step_factors.h"

KERNEL(step_factors) {
  double loss = 0, squares = 0;
  for (int64_t i = 0; i < INTEGER(6); i++) loss += load(POINTER(const real, 2) + i);
  for (int64_t i = 0; i < INTEGER(7); i++) {
    const double norm = load(POINTER(const real, 3) + i);
    squares += norm * norm;
  }
  finish_step(loss, squares, POINTER(const StepOutcome, 5)->t, POINTER(const StepSettings, 4), POINTER(StepFactors, 0),
              POINTER(StepOutcome, 1));
  return OK;
}
