// One step of gradient descent over a flat arena; as sgd.c.
// Slots: 0 new master, 1 new velocity or null, 2 bf16 copy of the new master or null, 3 master, 4 gradient, 5 velocity
// or null, 6 n, 7 decay_count, 8 weight decay, 9 gradient scale, 10 momentum, 11 nesterov, 12 learning rate.
KERNEL(sgd) {
  real *new_master = POINTER(real, 0), *new_velocity = POINTER(real, 1);
  bf16 *copy = POINTER(bf16, 2);
  const real *master = POINTER(const real, 3), *gradient = POINTER(const real, 4);
  const real *velocity = POINTER(const real, 5);
  const int64_t decay_count = INTEGER(7);
  const float weight_decay = FLOAT(8), scale = FLOAT(9), momentum = FLOAT(10), lr = FLOAT(12);
  FOR_GRID(i, INTEGER(6)) {
    const float w = load(master + i);
    float step = load(gradient + i) * scale + (i < decay_count ? weight_decay : 0.0f) * w;
    if (velocity) {
      const float next = momentum * load(velocity + i) + step;
      store(new_velocity + i, next);
      step = INTEGER(11) ? step + momentum * next : next;
    }
    const float updated = w - lr * step;
    store(new_master + i, updated);
    if (copy) copy[i] = bf16_of_f32(updated);
  }
}
