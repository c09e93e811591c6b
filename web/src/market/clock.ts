/** Times as they stand on the screen: in the zone that a person chose, or as a span. */

import type { MarketInfo } from "../protocol/messages.ts";
import type { Zone } from "../settings.ts";

const formats = new Map<string, Intl.DateTimeFormat>();

/** The IANA name of a zone; undefined for this machine's own. The exchange's is that of its calendar. */
export function timeZone(
  choice: Zone,
  calendar: string | undefined,
  markets: readonly MarketInfo[],
): string | undefined {
  if (choice === "local") return undefined;
  const market = choice === "exchange" ? markets.find((one) => one.calendar === calendar) : undefined;
  return market?.timezone ?? "UTC";
}

/** `HH:MM:SS` of milliseconds since the epoch. */
export function timeOfDay(milliseconds: number, zone: string | undefined): string {
  return format("time", zone).format(milliseconds);
}

/** `YYYY-MM-DD HH:MM:SS`. */
export function dateAndTime(milliseconds: number, zone: string | undefined): string {
  return format("date", zone).format(milliseconds);
}

/** `YYYY-MM-DD HH:MM:SS.mmm` with the zone's short name. */
export function exactTime(milliseconds: number, zone: string | undefined): string {
  const part = String(milliseconds % 1000).padStart(3, "0");
  const parts = format("name", zone).formatToParts(milliseconds);
  const name = parts.find((one) => one.type === "timeZoneName")?.value ?? "";
  return `${dateAndTime(milliseconds, zone)}.${part} ${name}`;
}

/** A span in its two largest units: `7 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const units: readonly [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([length]) => seconds >= length);
  if (first < 0) return "0 s";
  let rest = seconds;
  const words = [];
  for (const [length, name] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / length);
    rest %= length;
    if (count > 0) words.push(`${count} ${name}`);
  }
  return words.join(" ");
}

/** Swedish writes dates as ISO 8601 does. */
function format(kind: "time" | "date" | "name", zone: string | undefined): Intl.DateTimeFormat {
  const key = `${kind} ${zone}`;
  let found = formats.get(key);
  if (found === undefined) {
    const where = zone === undefined ? {} : { timeZone: zone };
    if (kind === "time") found = new Intl.DateTimeFormat("sv", { ...where, timeStyle: "medium" });
    else if (kind === "name") found = new Intl.DateTimeFormat("en-GB", { ...where, timeZoneName: "short" });
    else found = new Intl.DateTimeFormat("sv", { ...where, dateStyle: "short", timeStyle: "medium" });
    formats.set(key, found);
  }
  return found;
}
