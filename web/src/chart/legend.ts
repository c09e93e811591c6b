/** What the legend says of a bar, with the server's texts. */

import { grouped, minus, percent, sign, signed } from "../market/decimal.ts";
import type { Bar } from "./bars.ts";
import { fitted } from "./decimals.ts";

export type Trend = "up" | "down" | "";

export interface Legend {
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
  readonly volume: string;
  /** Against the close before, or against the bar's own open where there is none. */
  readonly change: string;
  readonly changePercent: string;
  /** Which way the bar went, and which way the change. */
  readonly trend: Trend;
  readonly changeTrend: Trend;
  readonly incomplete: boolean;
}

/** Prices with so many decimals. */
export function legend(bar: Bar, before: Bar | undefined, decimals: number): Legend {
  const { open_price, high_price, low_price, close_price, volume } = bar.kline;
  const base = before?.kline.close_price ?? open_price;
  const change = minus(close_price, base);
  const price = (text: string) => grouped(fitted(text, decimals));
  const part = percent(close_price, base);
  return {
    open: price(open_price),
    high: price(high_price),
    low: price(low_price),
    close: price(close_price),
    volume: grouped(volume),
    change: grouped(signed(fitted(change, decimals))),
    changePercent: part === "" ? "" : `${signed(part)}%`,
    trend: trend(minus(close_price, open_price)),
    changeTrend: trend(change),
    incomplete: bar.incomplete,
  };
}

function trend(difference: string): Trend {
  return (["down", "", "up"] as const)[sign(difference) + 1] ?? "";
}

/** The same as a sentence, for ears. */
export function spoken(of: Legend): string {
  const lacks = of.incomplete ? " Incomplete." : "";
  const change = of.changePercent === "" ? of.change : `${of.change}, ${of.changePercent}`;
  const prices = `Open ${of.open}, high ${of.high}, low ${of.low}, close ${of.close}`;
  return `${prices}, change ${change}, volume ${of.volume}.${lacks}`;
}
