/** How many decimals a chart shows: as many as its prices use, since the wire fills them up with zeros. */

import type { Bar } from "./bars.ts";

/** Shown wherever the wire has so many. */
const FEWEST = 2;

/** The decimals that the prices of these bars use, of those that the wire has. */
export function decimalsOf(bars: readonly Bar[], wire: number): number {
  let most = Math.min(FEWEST, wire);
  for (const { kline } of bars) {
    for (const price of [kline.open_price, kline.high_price, kline.low_price, kline.close_price]) {
      if (most < wire) most = Math.max(most, used(price));
    }
  }
  return most;
}

function used(text: string): number {
  const point = text.indexOf(".");
  if (point < 0) return 0;
  let end = text.length;
  while (text.endsWith("0", end)) end--;
  return end - point - 1;
}

/** The text with so many decimals: only zeros are cut, and none are added. */
export function fitted(text: string, decimals: number): string {
  const point = text.indexOf(".");
  if (point < 0) return text;
  const end = point + 1 + Math.max(decimals, used(text));
  return text.slice(0, end).replace(/\.$/, "");
}
