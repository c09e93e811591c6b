/** A sparkline: the closes of the last day, and the last price as it was a moment ago. */

import { computed, type ReadonlySignal, useComputed } from "@preact/signals";

import { now } from "../market/desk.ts";

const WIDTH = 46;
const HEIGHT = 22;

const EVERY = 4000;
const moment = computed(() => Math.floor(now.value / EVERY));

interface Props {
  readonly closes: ReadonlySignal<readonly string[]>;
  readonly last: ReadonlySignal<string | null>;
  readonly trend: ReadonlySignal<string>;
}

export function Spark({ closes, last, trend }: Props) {
  const path = useComputed(() => {
    void moment.value; // not with each tick: what it adds is less than a pixel
    return drawn(closes.value, last.peek());
  });
  return (
    <svg class="spark" data-trend={trend} width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path d={path} fill="none" stroke="currentColor" stroke-width="1.3" />
    </svg>
  );
}

/** The line as an SVG path; floats serve here, since no price is read off it. */
function drawn(closes: readonly string[], last: string | null): string {
  const values = [...closes, ...(last === null ? [] : [last])].map(Number);
  if (values.length < 2) return "";
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const up = (HEIGHT - 4) / (high - low || 1);
  const across = WIDTH / (values.length - 1);
  return values
    .map((value, at) => `${at === 0 ? "M" : "L"}${(at * across).toFixed(1)} ${(HEIGHT - 2 - (value - low) * up).toFixed(1)}`)
    .join("");
}
