/** The latest trades of an instrument, in the order in which they were made. */

import type { TradeData } from "../protocol/messages.ts";

/** Trades that are shown. */
const SHOWN = 60;
/** A trade comes late by so many milliseconds at most, and not more than so many in a row. */
const MOST_LATE = 60_000;
const LATE_IN_A_ROW = 16;

export class Trades {
  /** Oldest first. */
  #kept: TradeData[] = [];
  #late = 0;

  /** The one that was made last. */
  get newest(): TradeData | undefined {
    return this.#kept.at(-1);
  }

  /** The latest ones, newest first. */
  get latest(): readonly TradeData[] {
    return this.#kept.slice(-SHOWN).reverse();
  }

  /** A trade came. A late one goes to its place, and one that comes twice counts once. */
  add(trade: TradeData): void {
    const behind = Number(this.newest?.tick_time ?? 0) - Number(trade.tick_time);
    this.#late = behind > 0 ? this.#late + 1 : 0;
    if (behind > MOST_LATE || this.#late > LATE_IN_A_ROW) {
      this.#kept = []; // the market's time has gone back: a replay begins anew, or another source goes on
      this.#late = 0;
    }
    const before = this.#kept.findLastIndex((one) => order(one, trade) <= 0);
    const found = this.#kept[before];
    if (found !== undefined && order(found, trade) === 0) return;
    this.#kept.splice(before + 1, 0, trade);
    if (this.#kept.length > 4 * SHOWN) this.#kept.splice(0, 3 * SHOWN);
  }
}

/** Which was made first. The numbers begin anew with the server, so the times count before them. */
function order(one: TradeData, other: TradeData): number {
  return Number(one.tick_time) - Number(other.tick_time) || Number(one.seq) - Number(other.seq);
}
