// How a step of AdamW went, whether it counts, and the numbers that all elements share; as step_factors.c. One thread.
// Slots: 0 factors: f32 [decay, step size, √(1 - β₂ᵗ), gradient scale, applied], 1 outcome: f64 [loss, norm, applied, t],
// 2 losses, 3 norms, 4 settings: f64 [lr, largest norm, largest loss, β₁, β₂, weight decay], 5 the outcome before,
// 6 count of losses, 7 count of norms.
KERNEL(step_factors) {
  if (threadIdx.x > 0) return;
  const double *settings = POINTER(const double, 4);
  const double lr = settings[0], largest_norm = settings[1], largest_loss = settings[2];
  double loss = 0, squares = 0;
  for (int64_t i = 0; i < INTEGER(6); i++) loss += load(POINTER(const real, 2) + i);
  for (int64_t i = 0; i < INTEGER(7); i++) {
    const double norm = load(POINTER(const real, 3) + i);
    squares += norm * norm;
  }
  const double norm = sqrt(squares), before = POINTER(const double, 5)[3], t = before + 1;
  const bool applied = fabs(loss) < INFINITY && norm < INFINITY && loss <= largest_loss;
  float *factors = POINTER(float, 0);
  factors[0] = (float)(1 - lr * settings[5]);
  factors[1] = (float)(lr / (1 - pow(settings[3], t)));
  factors[2] = (float)sqrt(1 - pow(settings[4], t));
  factors[3] = (float)(norm > largest_norm ? largest_norm / norm : 1);
  factors[4] = applied;
  double *outcome = POINTER(double, 1);
  outcome[0] = loss, outcome[1] = norm, outcome[2] = applied, outcome[3] = applied ? t : before;
}
