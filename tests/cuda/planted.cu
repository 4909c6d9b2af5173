// Kernels with one mistake each, which the simulator must find. Slots: 0 out, 1 n.

// Without the barrier, a thread that runs before thread 0 reads what is not there yet.
KERNEL(planted_barrier) {
  __shared__ float shared;
  if (threadIdx.x == 0) shared = 7;
  POINTER(float, 0)[grid_index()] = shared;
}

// All threads add to one number, and some of it is lost.
KERNEL(planted_race) {
  if (threadIdx.x == 0 && blockIdx.x == 0) POINTER(float, 0)[0] = 0;
  __syncthreads();
  POINTER(float, 0)[0] += 1;
}

// Half of the threads wait for the others, which have gone to another barrier.
KERNEL(planted_divergence) {
  if (threadIdx.x < 128) __syncthreads();
  else __syncwarp();
  if (threadIdx.x < 40) __shfl_xor_sync(0xffffffffu, 1, 1);
  POINTER(float, 0)[grid_index()] = 1;
}

// One element too many.
KERNEL(planted_overrun) {
  for (int64_t i = grid_index(); i <= INTEGER(1); i += grid_threads()) POINTER(float, 0)[i] = 1;
}

// Four elements at once from where they are not aligned.
KERNEL(planted_alignment) {
  if (threadIdx.x == 0) *(uint4 *)(POINTER(float, 0) + 1) = make_uint4(0, 0, 0, 0);
}

// Right only when there is a thread for each element.
KERNEL(planted_size) { POINTER(float, 0)[grid_index()] = 1; }
