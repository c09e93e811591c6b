/** The keyboard: one table, which the help shows too. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { watched } from "../market/desk.ts";
import { KLINE_TYPES } from "../protocol/klines.ts";
import { interval, logScale, selected, switchTheme } from "../settings.ts";
import { statusOpen } from "./Status.tsx";

export const helpOpen = signal(false);
/** Counts the times that the search was asked for. */
export const searchAsked = signal(0);
/** Counts the times that the chart was asked to go to its latest bar. */
export const latestAsked = signal(0);

/** Focuses at once, lest what is typed next be taken for keys; on a phone the list must be drawn first. */
function search(): void {
  document.querySelector<HTMLInputElement>(".search input")?.focus();
  searchAsked.value++;
}

interface Key {
  readonly keys: readonly string[];
  readonly shown: string;
  readonly does: string;
  readonly run: (key: string) => void;
}

export const KEYS: readonly Key[] = [
  { keys: ["/"], shown: "/", does: "Search the catalogue", run: search },
  { keys: ["ArrowDown", "j"], shown: "↓ or J", does: "Next instrument of the list", run: () => step(1) },
  { keys: ["ArrowUp", "k"], shown: "↑ or K", does: "Instrument before", run: () => step(-1) },
  {
    keys: [..."1234567890"],
    shown: "1 … 9, 0",
    does: `Bars of ${KLINE_TYPES.map((type) => type.label).join(", ")}`,
    run: (key) => (interval.value = KLINE_TYPES[(Number(key) + 9) % 10] ?? interval.value),
  },
  { keys: ["r", "End"], shown: "R or End", does: "To the latest bar", run: () => latestAsked.value++ },
  { keys: ["l"], shown: "L", does: "Logarithmic scale", run: () => (logScale.value = !logScale.value) },
  { keys: ["t"], shown: "T", does: "Dark or light", run: switchTheme },
  { keys: ["s"], shown: "S", does: "Status and sandbox", run: () => (statusOpen.value = !statusOpen.value) },
  { keys: ["?"], shown: "?", does: "This list", run: () => (helpOpen.value = !helpOpen.value) },
];

/** Keys that a part of the page takes itself while it has the focus. */
export const PART_KEYS: readonly (readonly [string, string])[] = [
  ["Alt+↑ or Alt+↓", "Move the instrument within the list"],
  ["Delete", "Remove it from the list"],
  ["← or →", "Within the chart: read the bars"],
  ["+ or −", "Within the chart: closer or farther"],
];

/** Moves along the list as it stands on the screen. */
function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")].map((row) => row.dataset["row"] ?? "");
  const codes = rows.length > 0 ? rows : watched.peek();
  const place = codes.indexOf(selected.peek());
  const next = codes[Math.min(codes.length - 1, Math.max(0, place + by))];
  if (next === undefined) return;
  selected.value = next;
  document.querySelector<HTMLElement>(`[data-row="${CSS.escape(next)}"]`)?.focus();
}

function pressed(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  const typing = target.closest("input, select, textarea, [contenteditable], dialog") !== null;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const known = KEYS.find((one) => one.keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
  if (known === undefined) return;
  event.preventDefault();
  known.run(event.key);
}

export function useKeys(): void {
  useEffect(() => {
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}
