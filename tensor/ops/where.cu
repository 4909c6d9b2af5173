// out[i] = mask[i] ? x[i] : y[i], for elements of any type, moved by their size.
// Slots: 0 out, 1 mask, 2 x, 3 y, 4 bytes per element, 5 rank, then `rank` sizes and strides of mask, x and y. The
// output is contiguous.

#if defined(REAL_F32)

template <class T> __device__ inline void choose(const Slots &args) {
  const int64_t rank = INTEGER(5);
  int64_t n = 1;
  for (int64_t axis = 0; axis < rank; axis++) n *= INTEGER(6 + axis);
  FOR_GRID(i, n) {
    int64_t at_mask = 0, at_x = 0, at_y = 0, rest = i;
    for (int64_t axis = rank - 1; axis >= 0; axis--) {
      const int64_t index = rest % INTEGER(6 + axis);
      rest /= INTEGER(6 + axis);
      at_mask += index * INTEGER(6 + rank + axis);
      at_x += index * INTEGER(6 + 2 * rank + axis);
      at_y += index * INTEGER(6 + 3 * rank + axis);
    }
    POINTER(T, 0)[i] = POINTER(const uint8_t, 1)[at_mask] ? POINTER(const T, 2)[at_x] : POINTER(const T, 3)[at_y];
  }
}

KERNEL(where) {
  if (INTEGER(4) == 1) choose<uint8_t>(args);
  else if (INTEGER(4) == 2) choose<uint16_t>(args);
  else choose<uint32_t>(args);
}

#endif
