/** Which trades are large beside the others. */

import type { TradeData } from "../protocol/messages.ts";

/** Times the median. */
const LARGE = 5;
/** Trades before which there is nothing to compare with. */
const FEWEST = 8;

/** The volume from which a trade of these is large; floats serve here, since no figure is read off it. */
export function largeFrom(trades: readonly TradeData[]): number {
  if (trades.length < FEWEST) return Infinity;
  const volumes = trades.map((trade) => Number(trade.volume)).sort((a, b) => a - b);
  const median = volumes[volumes.length >> 1] ?? 0;
  return median > 0 ? median * LARGE : Infinity;
}
