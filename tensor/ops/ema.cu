// average ← decay · average + (1 - decay) · values. The output may be the average.
// Slots: 0 out, 1 average, 2 values, 3 n, 4 1 - decay.
KERNEL(ema) {
  const float share = FLOAT(4);
  FOR_GRID(i, INTEGER(3)) {
    const float before = load(POINTER(const real, 1) + i);
    store(POINTER(real, 0) + i, before + share * (load(POINTER(const real, 2) + i) - before));
  }
}
