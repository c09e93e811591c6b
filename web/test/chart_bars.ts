/** Bars for the tests of the chart. */

import type { KlineBar, KlineData, TradeData } from "../src/protocol/messages.ts";

export function kline(time: number, close: string): KlineBar {
  return {
    timestamp: String(time),
    open_price: "1",
    close_price: close,
    high_price: "9",
    low_price: "0",
    volume: "5",
    turnover: "5",
  };
}

/** Bars of a minute from one time up to another one. */
export function page(from: number, to: number): KlineBar[] {
  return Array.from({ length: (to - from) / 60 + 1 }, (_, at) => kline(from + at * 60, "1"));
}

export function pushed(time: number, close: string, seq: number): KlineData {
  return { code: "X", kline_type: 1, seq, state: "forming", incomplete: 0, ...kline(time, close) };
}

/** A trade so many milliseconds into the bar that opens at 60. */
export function traded(after: number, seq: number, price = "3", volume = "2"): TradeData {
  return { code: "X", seq, tick_time: 60_000 + after, price, volume, turnover: "6", trade_direction: 0 };
}
