// How a step of AdamW went, whether it counts, and the numbers that all elements share. For C and CUDA.

typedef struct {
  double lr, largest_norm, largest_loss, beta1, beta2, weight_decay;
} StepSettings;

typedef struct {
  double loss, norm, applied, t;
} StepOutcome;

typedef struct {
  float decay, step_size, second_root, gradient_scale, applied; // second_root = √(1 - β₂ᵗ)
} StepFactors;

// `squares` is the sum of the squares of all gradients, `before` how many steps were applied.
STEP_FUNCTION void finish_step(double loss, double squares, double before, const StepSettings *s, StepFactors *factors,
                               StepOutcome *outcome) {
  const double norm = sqrt(squares), t = before + 1;
  const int applied = fabs(loss) < INFINITY && norm < INFINITY && loss <= s->largest_loss;
  factors->decay = (float)(1 - s->lr * s->weight_decay);
  factors->step_size = (float)(s->lr / (1 - pow(s->beta1, t)));
  factors->second_root = (float)sqrt(1 - pow(s->beta2, t));
  factors->gradient_scale = (float)(norm > s->largest_norm ? s->largest_norm / norm : 1);
  factors->applied = (float)applied;
  outcome->loss = loss, outcome->norm = norm, outcome->applied = applied, outcome->t = applied ? t : before;
}
