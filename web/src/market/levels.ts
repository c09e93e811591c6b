/** A book as the ladder shows it: levels with what lies up to them, the spread, and which side is empty. */

import type { BookData, LevelData } from "../protocol/messages.ts";
import { basisPoints, compare, minus, plus, share, sign } from "./decimal.ts";

export interface Rung {
  readonly price: string;
  readonly volume: string;
  /** The volume of this level and all better ones. */
  readonly total: string;
  /** The total as a share of the larger side's, from 0 to 1. */
  readonly share: number;
}

export interface Rungs {
  /** Best first, like `bids`. */
  readonly asks: readonly Rung[];
  readonly bids: readonly Rung[];
  /** Null where a side is empty, like `points`. */
  readonly spread: string | null;
  /** The spread in basis points of the middle between the best prices. */
  readonly points: string | null;
  /** What a person should read instead of a side; empty if both have levels. */
  readonly word: string;
}

interface Total extends LevelData {
  readonly total: string;
}

/** The best `count` levels of each side. */
export function rungs(book: BookData, count: number): Rungs {
  const asks = totals(book.asks, count);
  const bids = totals(book.bids, count);
  const [ask, bid] = [asks.at(-1)?.total ?? "0", bids.at(-1)?.total ?? "0"];
  const most = compare(ask, bid) > 0 ? ask : bid;
  const best = asks[0] !== undefined && bids[0] !== undefined ? ([asks[0].price, bids[0].price] as const) : null;
  const spread = best && minus(...best);
  return {
    asks: asks.map((one) => ({ ...one, share: share(one.total, most) })),
    bids: bids.map((one) => ({ ...one, share: share(one.total, most) })),
    spread,
    points: best && spread && basisPoints(plus(spread, spread), plus(...best)),
    word: word(book, asks.length, bids.length),
  };
}

/** Levels with a price: an empty side comes as levels of price and volume zero (section 2 of the protocol). */
function totals(levels: readonly LevelData[], count: number): Total[] {
  const found: Total[] = [];
  let total = "0";
  for (const { price, volume } of levels) {
    if (found.length === count) break;
    if (sign(price) === 0) continue;
    total = plus(total, volume);
    found.push({ price, volume, total });
  }
  return found;
}

/** A side that is empty because of a limit comes filled up with zeros; otherwise nothing is known but that. */
function word(book: BookData, asks: number, bids: number): string {
  if (asks === 0 && bids === 0) return "The book is empty";
  if (asks === 0) return book.asks.length > 0 ? "Limit up: no sellers" : "No sellers";
  if (bids === 0) return book.bids.length > 0 ? "Limit down: no buyers" : "No buyers";
  return "";
}
