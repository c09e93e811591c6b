/** What a person chose: what is looked at stands in the URL, the rest in local storage. */

import { effect, signal } from "@preact/signals";

import { type KlineType, klineType, MINUTE } from "./protocol/klines.ts";

export type Theme = "dark" | "light";
/** The time zone of charts and tapes: this machine's, UTC, or the exchange's. */
export type Zone = "local" | "utc" | "exchange";
/** What a phone shows of the page. */
export type Pane = "list" | "chart" | "book";

const PREFIX = "tickwire.";

function stored<T>(name: string, fallback: T, fits: (value: unknown) => value is T) {
  const kept = signal<T>(read(name, fallback, fits));
  effect(() => {
    try {
      localStorage.setItem(PREFIX + name, JSON.stringify(kept.value));
    } catch {
      // storage is full or forbidden: the page works, and forgets
    }
  });
  addEventListener("storage", (event) => {
    if (event.key === PREFIX + name) kept.value = read(name, fallback, fits); // another tab has changed it
  });
  return kept;
}

function read<T>(name: string, fallback: T, fits: (value: unknown) => value is T): T {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    return fits(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

function oneOf<T extends string>(...names: readonly T[]) {
  return (value: unknown): value is T => names.includes(value as T);
}

const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
const isCodes = (value: unknown): value is string[] | null =>
  value === null || (Array.isArray(value) && value.every((code) => typeof code === "string"));

const preferred: Theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
const asked = new URLSearchParams(location.search);

/** The codes of the watchlist, in a person's order; null before one was made. */
export const watchlist = stored<string[] | null>("watchlist", null, isCodes);
export const theme = stored<Theme>("theme", preferred, oneOf("dark", "light"));
export const zone = stored<Zone>("zone", "local", oneOf("local", "utc", "exchange"));
export const logScale = stored<boolean>("log", false, isBoolean);
/** Whether the watchlist stands in groups by market. */
export const byMarket = stored<boolean>("groups", true, isBoolean);
/** What the change of a price is counted from: the previous daily close, or the price 24 hours ago. */
export const changeSince = stored<"close" | "24h">("change", "close", oneOf("close", "24h"));

export function switchTheme(): void {
  theme.value = theme.peek() === "dark" ? "light" : "dark";
}

/** The instrument that is looked at; empty before the first is known. */
export const selected = signal(asked.get("code") ?? "");
export const interval = signal<KlineType>(klineType(asked.get("type")) ?? MINUTE);
export const pane = signal<Pane>(asked.has("code") ? "chart" : "list");

effect(() => {
  const query = new URLSearchParams(location.search);
  if (selected.value !== "") query.set("code", selected.value);
  query.set("type", interval.value.label);
  history.replaceState(null, "", `?${query}`);
});

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
