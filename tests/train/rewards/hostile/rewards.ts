/** Rewards that go wrong in every way, and one that does not. */

interface Completion {
  readonly text: string;
}

export function good({ text }: Completion): number {
  console.log("this does not disturb anybody");
  return text.length;
}

export function hangs(): number {
  while (true);
}

export function neverResolves(): Promise<number> {
  setInterval(() => {}, 1000);
  return new Promise(() => {});
}

export function throws(): number {
  throw new Error("not today");
}

export function fillsHeap(): number {
  const lists: number[][] = [];
  while (true) lists.push(new Array(1e6).fill(lists.length));
}

export function fillsBuffers(): number {
  const buffers: Uint8Array[] = [];
  while (true) buffers.push(new Uint8Array(1e7).fill(1));
}

export function readsFile(): number {
  return Deno.readTextFileSync("/etc/hostname").length;
}

export async function importsFile(): Promise<number> {
  return Object.keys(await import(`file://${"/etc/hostname"}`)).length;
}

export function opensSocket(): number {
  return Deno.listen({ port: 0 }).addr.port;
}

export async function connects(): Promise<number> {
  return (await fetch("http://127.0.0.1:9090")).status;
}

export function readsEnvironment(): number {
  return Object.keys(Deno.env.toObject()).length;
}

export async function runsProgram(): Promise<number> {
  return (await new Deno.Command("/bin/true").output()).code;
}

export function exits(): number {
  Deno.exit(0);
}

export function notANumber(): string {
  return "1";
}

export function floodsOutput(): number {
  const bytes = new Uint8Array(1e6).fill(120);
  while (true) Deno.stdout.writeSync(bytes);
}
