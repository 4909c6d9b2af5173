/** How a checkpoint stores numbers; `q8_0` is llama.cpp's blocks of 32 signed bytes and a scale. */
export type StoredDType =
  | "f64"
  | "f32"
  | "f16"
  | "bf16"
  | "e4m3"
  | "e5m2"
  | "i64"
  | "i32"
  | "i16"
  | "i8"
  | "u8"
  | "bool"
  | "q8_0";
