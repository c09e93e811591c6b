/** The time axis: it is labelled in a zone, and its days, months and years begin where those of the zone do. */

import {
  defaultHorzScaleBehavior,
  type InternalHorzScaleItem,
  type ISeriesApi,
  type Mutable,
  type SeriesType,
  type TickMark,
  type Time,
  type TimeScalePoint,
  type UTCTimestamp,
} from "lightweight-charts";

import type { Times } from "./times.ts";

/** A series on this axis. */
export type Series<T extends SeriesType> = ISeriesApi<T, Time>;

export function timestamp(seconds: number): UTCTimestamp {
  return seconds as UTCTimestamp;
}

export class Axis extends defaultHorzScaleBehavior() {
  times: Times;

  constructor(times: Times) {
    super();
    this.times = times;
  }

  /** Says how weighty each point is: the library weighs by UTC, so it is handed the zone's clock as if it were that. */
  override fillWeightsForPoints(points: readonly Mutable<TimeScalePoint>[], from: number): void {
    const before = Math.max(0, from - 1);
    const shifted = points.slice(before).map((point) => ({
      ...point,
      time: this.convertHorzItemToInternal(timestamp(this.times.shifted(this.#seconds(point.time)))),
    }));
    super.fillWeightsForPoints(shifted, from - before);
    for (const [at, point] of shifted.entries()) {
      const real = points[before + at];
      if (real !== undefined) real.timeWeight = point.timeWeight;
    }
  }

  /** Under the crosshair. */
  override formatHorzItem(item: InternalHorzScaleItem): string {
    return this.times.label(this.#seconds(item));
  }

  override formatTickmark(mark: TickMark): string {
    return this.times.mark(this.#seconds(mark.time), mark.weight);
  }

  #seconds(item: InternalHorzScaleItem): number {
    return Number(this.key(item));
  }
}
