/** Exact arithmetic on the decimal texts of the wire: prices never become floats on their way to the screen. */

interface Scaled {
  readonly digits: bigint;
  readonly decimals: number;
}

function scaled(text: string): Scaled {
  const [whole = "", fraction = ""] = text.split(".");
  return { digits: BigInt(whole + fraction), decimals: fraction.length };
}

function raised(number: Scaled, decimals: number): bigint {
  return number.digits * 10n ** BigInt(decimals - number.decimals);
}

function aligned(a: string, b: string): [bigint, bigint, number] {
  const [x, y] = [scaled(a), scaled(b)];
  const decimals = Math.max(x.decimals, y.decimals);
  return [raised(x, decimals), raised(y, decimals), decimals];
}

function written(digits: bigint, decimals: number): string {
  const sign = digits < 0n ? "-" : "";
  const text = (digits < 0n ? -digits : digits).toString().padStart(decimals + 1, "0");
  const cut = text.length - decimals;
  return decimals === 0 ? sign + text : `${sign}${text.slice(0, cut)}.${text.slice(cut)}`;
}

/** Below 0 if `a` is less than `b`, above 0 if it is more. */
export function compare(a: string, b: string): number {
  const [x, y] = aligned(a, b);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** `a - b`, with the decimals of the one that has more. */
export function minus(a: string, b: string): string {
  const [x, y, decimals] = aligned(a, b);
  return written(x - y, decimals);
}

/** `a + b`, with the decimals of the one that has more. */
export function plus(a: string, b: string): string {
  const [x, y, decimals] = aligned(a, b);
  return written(x + y, decimals);
}

/** How many percent `now` is above `before`, of the size of that, rounded half away from zero to two decimals; empty if `before` is 0. */
export function percent(now: string, before: string): string {
  const [x, y] = aligned(now, before);
  return y === 0n ? "" : written(quotient((x - y) * 10000n, y < 0n ? -y : y), 2);
}

/** `part` of the size of `whole` in basis points, rounded half away from zero to two decimals; empty if `whole` is 0. */
export function basisPoints(part: string, whole: string): string {
  const [x, y] = aligned(part, whole);
  return y === 0n ? "" : written(quotient(x * 1_000_000n, y < 0n ? -y : y), 2);
}

/** `part` of `whole`, from 0 to 1, for bars on the screen; 0 if `whole` is 0. */
export function share(part: string, whole: string): number {
  const [x, y] = aligned(part, whole);
  return y === 0n ? 0 : Number((x * 10000n) / y) / 10000;
}

function quotient(dividend: bigint, divisor: bigint): bigint {
  const negative = dividend < 0n !== divisor < 0n;
  const [top, bottom] = [dividend < 0n ? -dividend : dividend, divisor < 0n ? -divisor : divisor];
  const rounded = (top * 2n + bottom) / (bottom * 2n);
  return negative ? -rounded : rounded;
}

/** With a `+` before what is above zero, and a true minus sign. */
export function signed(text: string): string {
  if (text.startsWith("-")) return /[1-9]/.test(text) ? `−${text.slice(1)}` : text.slice(1);
  return /[1-9]/.test(text) ? `+${text}` : text;
}

/** 1 if above zero, -1 if below, else 0. */
export function sign(text: string): -1 | 0 | 1 {
  if (!/[1-9]/.test(text)) return 0;
  return text.startsWith("-") ? -1 : 1;
}

/** The decimals that these say something with, at least two: for a column whose figures stand under one another. */
export function places(texts: readonly string[]): number {
  return Math.max(2, ...texts.map((text) => text.replace(/0+$/, "").split(".")[1]?.length ?? 0));
}

/** With so many decimals at the most; what goes must be zeros. */
export function shortened(text: string, decimals: number): string {
  const point = text.indexOf(".");
  return point < 0 ? text : text.slice(0, point + 1 + decimals);
}

/** With thin spaces between thousands. */
export function grouped(text: string): string {
  const [whole = "", fraction] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

/** Characters that a column has for a size. */
const ROOM = 11;

/** Grouped, and cut (not rounded) to fit a column: without decimals if need be, or in millions. */
export function brief(text: string): string {
  const full = grouped(text);
  if (full.length <= ROOM) return full;
  const [whole = ""] = text.split(".");
  const plain = grouped(whole);
  if (plain.length <= ROOM) return plain;
  return `${grouped(`${whole.slice(0, -6)}.${whole.slice(-6, -5)}`)}M`;
}
