/** The watchlist: a row for each instrument, in groups by market, and the search that adds to it. */

import "../style/watchlist.css";

import { useComputed } from "@preact/signals";
import { useRef } from "preact/hooks";

import { catalogue, move, unwatch, watched } from "../market/desk.ts";
import type { InstrumentInfo } from "../protocol/messages.ts";
import { byMarket, changeSince, pane, selected } from "../settings.ts";
import { Row } from "./Row.tsx";
import { Search } from "./Search.tsx";

const MARKETS: Readonly<Record<string, string>> = {
  crypto: "Crypto",
  forex: "Forex",
  metals: "Metals",
  energy: "Energy",
  cfd_index: "CFD indices",
  us_stock: "US stocks",
  hk_stock: "Hong Kong stocks",
  cn_stock: "Chinese stocks",
  index: "Stock indices",
};

interface Group {
  readonly market: string;
  readonly instruments: readonly InstrumentInfo[];
}

export function Watchlist() {
  const groups = useComputed(() => grouped(watched.value.flatMap((code) => catalogue.value.get(code) ?? [])));
  const dragged = useRef<string | null>(null);
  return (
    <section class="panel list" aria-label="Watchlist">
      <Search />
      <header>
        <h2>Watchlist</h2>
        <span class="fill" />
        <button
          aria-label={`Change since the ${changeSince.value === "close" ? "previous close" : "price 24 hours ago"}`}
          title="What the change is counted from"
          onClick={() => (changeSince.value = changeSince.value === "close" ? "24h" : "close")}
        >
          {changeSince.value === "close" ? "since close" : "24 h"}
        </button>
        <button aria-pressed={byMarket.value} onClick={() => (byMarket.value = !byMarket.value)}>
          groups
        </button>
      </header>
      <div class="rows" onKeyDown={pressed}>
        {groups.value.length === 0 && (
          <p class="soft empty">{catalogue.value.size === 0 ? "Loading…" : "Nothing is watched. Search to add."}</p>
        )}
        {groups.value.map(({ market, instruments }) => (
          <section key={market}>
            {market !== "" && <h3>{MARKETS[market] ?? market}</h3>}
            <ul aria-label={MARKETS[market] ?? "Instruments"}>
            {instruments.map((one) => (
              <Row
                key={one.code}
                instrument={one}
                onPick={() => {
                  selected.value = one.code;
                  pane.value = "chart";
                }}
                onDrag={() => (dragged.current = one.code)}
                onDrop={() => {
                  if (dragged.current !== null) drop(dragged.current, one.code);
                  dragged.current = null;
                }}
              />
            ))}
            </ul>
          </section>
        ))}
      </div>
    </section>
  );
}

function grouped(instruments: readonly InstrumentInfo[]): Group[] {
  if (instruments.length === 0) return [];
  if (!byMarket.value) return [{ market: "", instruments }];
  const groups = new Map<string, InstrumentInfo[]>();
  for (const one of instruments) groups.set(one.market, [...(groups.get(one.market) ?? []), one]);
  return [...groups].map(([market, list]) => ({ market, instruments: list }));
}

/** The keys of a row: it is moved, or removed. */
function pressed(event: KeyboardEvent): void {
  const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
  const code = row?.dataset["row"];
  if (code === undefined) return;
  const codes = neighbours(code);
  const place = codes.indexOf(code);
  if (event.key === "Delete") {
    const next = codes[place + 1] ?? codes[place - 1];
    unwatch(code);
    focus(next);
  } else if (event.altKey && event.key === "ArrowUp" && place > 0) {
    move(code, codes[place - 1] ?? null);
    focus(code);
  } else if (event.altKey && event.key === "ArrowDown" && place < codes.length - 1) {
    const after = codes[place + 1];
    if (after !== undefined) move(after, code);
    focus(code);
  } else {
    return;
  }
  event.preventDefault();
}

/** Puts a row that was dragged where another one of its group is: behind it, if it came from above. */
function drop(code: string, target: string): void {
  const codes = neighbours(target);
  const from = codes.indexOf(code);
  const to = codes.indexOf(target);
  if (from < 0 || from === to) return;
  const all = watched.peek();
  move(code, from < to ? (all[all.indexOf(target) + 1] ?? null) : target);
}

/** The codes that a row is moved among: its group's. */
function neighbours(code: string): string[] {
  const known = catalogue.peek();
  const market = known.get(code)?.market;
  return watched.peek().filter((one) => !byMarket.peek() || known.get(one)?.market === market);
}

function focus(code: string | undefined): void {
  if (code === undefined) return;
  requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-row="${CSS.escape(code)}"]`)?.focus());
}
