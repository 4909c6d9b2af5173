/** Kinds of descriptors, as cudnnBackendDescriptorType_t numbers them. */
export const descriptors = {
  pointwise: 0,
  engineConfig: 3,
  heuristics: 4,
  plan: 5,
  pointwiseOperation: 13,
  graph: 15,
  pack: 16,
  tensor: 17,
  matmul: 18,
  matmulOperation: 19,
  reduction: 21,
  reductionOperation: 22,
  reshapeOperation: 31,
  deviceProperties: 38,
  attentionOperation: 41, // since 9.13
  bandMaskOperation: 44, // since 9.20
  softmaxOperation: 45, // since 9.20
} as const;

/** Types of attributes, as cudnnBackendAttributeType_t numbers them. */
export const attributeTypes = {
  handle: 0,
  dataType: 1,
  boolean: 2, // one byte
  int64: 3,
  float: 4,
  pointer: 6,
  heuristicMode: 8,
  pointwiseMode: 14,
  descriptor: 15,
  reductionOperator: 18,
  character: 24,
} as const;

/** Names of attributes, as cudnnBackendAttributeName_t numbers them. */
export const attributes = {
  pointwise: { mode: 0, precision: 1, axis: 9 },
  pointwiseOperation: { kind: 750, x: 751, b: 752, y: 753, alpha1: 754, alpha2: 755, select: 758 },
  engineHeuristics: { mode: 200, graph: 201, results: 202, device: 204 },
  plan: { handle: 400, engineConfig: 401, workspaceBytes: 402, device: 407 },
  graph: { handle: 800, operations: 801 },
  tensor: {
    alignment: 900,
    type: 901,
    shape: 902,
    strides: 903,
    id: 906,
    isVirtual: 907,
    isByValue: 908,
  },
  pack: { ids: 1000, pointers: 1001, workspace: 1003 },
  matmul: { precision: 1500 },
  matmulOperation: { a: 1520, b: 1521, c: 1522, kind: 1523 },
  reduction: { operator: 1600, precision: 1601 },
  reductionOperation: { x: 1610, y: 1611, kind: 1612 },
  reshapeOperation: { x: 2200, y: 2201 },
  deviceProperties: { json: 2702 },
  attentionOperation: {
    q: 2800,
    k: 2801,
    v: 2802,
    out: 2803,
    scale: 2805,
    subgraph: 2811,
    subgraphInput: 2812,
    subgraphOutput: 2813,
    softmax: 2814,
  },
  bandMaskOperation: { x: 3000, b: 3005, y: 3006, comparison: 3007 },
  softmaxOperation: { x: 3100, y: 3101, statistics: 3102 },
} as const;

/** Element types, as cudnnDataType_t numbers them. */
export const dataTypes = { f32: 0, i32: 4, bf16: 9, boolean: 11 } as const;

/** What a pointwise operation does, as cudnnPointwiseMode_t numbers it. */
export const pointwiseModes = {
  add: 0,
  multiply: 1,
  divide: 6,
  subtract: 9,
  exp: 13,
  log: 15,
  atLeast: 303,
  index: 501,
  select: 601,
} as const;

/** What a reduction does, as cudnnReduceTensorOp_t numbers it. */
export const reductionOperators = { add: 0, max: 3 } as const;

/** Heuristics that rank engines by their speed, as cudnnBackendHeurMode_t numbers them. */
export const heuristicModeA = 3;
