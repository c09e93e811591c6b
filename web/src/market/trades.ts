/** The latest trades of an instrument, in the order in which they were made. */

import type { TradeData } from "../protocol/messages.ts";

/** Trades that are shown. */
const SHOWN = 60;
/** A trade comes late by so many milliseconds at most, and not more than so many in a row. */
const MOST_LATE = 60_000;
const LATE_IN_A_ROW = 16;

/** A trade, and how many are missing before it: null where nobody knows, 0 if none is. */
export interface Taped {
  readonly trade: TradeData;
  readonly missed: number | null;
}

export class Trades {
  /** Oldest first. */
  #kept: Taped[] = [];
  #late = 0;
  /** How many are missing before the next one. */
  #missed: number | null = 0;

  /** The one that was made last. */
  get newest(): TradeData | undefined {
    return this.#kept.at(-1)?.trade;
  }

  /** The latest ones, newest first. */
  get latest(): readonly Taped[] {
    return this.#kept.slice(-SHOWN).reverse();
  }

  /** So many are missing before the next one, null if nobody knows; where there are none yet nothing is missed. */
  hole(missed: number | null): void {
    if (this.#kept.length > 0) this.#missed = missed === null || this.#missed === null ? null : this.#missed + missed;
  }

  /** A trade came. A late one goes to its place, and one that comes twice counts once. */
  add(trade: TradeData): void {
    const behind = Number(this.newest?.tick_time ?? 0) - Number(trade.tick_time);
    this.#late = behind > 0 ? this.#late + 1 : 0;
    if (behind > MOST_LATE || this.#late > LATE_IN_A_ROW) {
      this.#kept = []; // the market's time has gone back: a replay begins anew, or another source goes on
      this.#late = 0;
      this.#missed = 0;
    }
    const before = this.#kept.findLastIndex((one) => order(one.trade, trade) <= 0);
    const found = this.#kept[before];
    if (found !== undefined && order(found.trade, trade) === 0) return;
    this.#kept.splice(before + 1, 0, { trade, missed: this.#missed });
    this.#missed = 0;
    if (this.#kept.length > 4 * SHOWN) this.#kept.splice(0, 3 * SHOWN);
  }
}

/** Which was made first. The numbers begin anew with the server, so the times count before them. */
function order(one: TradeData, other: TradeData): number {
  return Number(one.tick_time) - Number(other.tick_time) || Number(one.seq) - Number(other.seq);
}
