/** The desk: what is watched, what comes of it, and how the way to the server is. */

import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";

import { onFrame, PACE } from "../frame.ts";
import {
  ApiError,
  type Family,
  instruments as fetchInstruments,
  markets as fetchMarkets,
  klines,
  latestKlines,
  readiness,
} from "../protocol/api.ts";
import { DAY, FIVE_MINUTES, QUARTER } from "../protocol/klines.ts";
import type {
  BookData,
  InstrumentInfo,
  KlineData,
  MarketInfo,
  StateData,
  StatusData,
  TradeData,
} from "../protocol/messages.ts";
import type { Hole } from "../protocol/asking.ts";
import { type Listener, type LinkState, Socket } from "../protocol/socket.ts";
import { signedIn, signInReason, signOut } from "../session.ts";
import { interval, selected, watchlist } from "../settings.ts";
import { Quote } from "./quote.ts";

/** Codes that a new watchlist begins with, where the server has them. */
const FIRST_CODES = (
  "BTCUSDT ETHUSDT SOLUSDT GOLD Silver USOIL EURUSD USDJPY GBPUSD NAS100 " +
  "AAPL.US NVDA.US TSLA.US MSFT.US 700.HK 9988.HK 3690.HK 600519.SH 000001.SZ"
).split(" ");
const FIRST_COUNT = 16;
/** So many of them are a list. */
const FEW = 6;
/** The most codes of one list; what is over it is not asked for. */
export const MOST_WATCHED = 500;
/** Codes of one /batch-kline. */
const BATCH = 100;
/** Sparklines that are fetched at a time. */
const AT_A_TIME = 4;
const SPARK_BARS = 96;
const DEPTH = 50;
const MINUTE = 60_000;
const REFRESH = 5 * MINUTE;
const SHUT =
  "The server answers, but opens no connection: others may use all that this token has, a proxy may let no WebSocket through, or it is being maintained.";

/** The instruments that the token may read, by code. */
export const catalogue = signal<ReadonlyMap<string, InstrumentInfo>>(new Map());
export const markets = signal<readonly MarketInfo[]>([]);
/** Why there is no catalogue; null if there is one, or it is on its way. */
export const failure = signal<string | null>(null);
/** What the server said last that a person should read. */
export const notice = signal<string | null>(null);
/** The sources, by name. */
export const sources = signal<ReadonlyMap<string, StatusData>>(new Map());
/** Whether the server said over HTTP that its data is made up: it may never come to a push. */
const madeUp = signal(false);
export const simulated = computed(
  () => madeUp.value || [...sources.value.values()].some((source) => source.simulated === 1),
);
/** The order book of the selected instrument; null before the first. */
export const book = signal<BookData | null>(null);
/** Trades and books that came in the last second. */
export const ticksPerSecond = signal(0);
/** What the market's clock is ahead of this machine's, in milliseconds: a replay lives in the past. */
let ahead = 0;
/** The market's time, each second, in milliseconds since the epoch. */
export const now = signal(Date.now());
/** Counts the connections that were opened anew. */
export const healed = signal(0);
/** Counts the times that bars of what is looked at went missing: they must be fetched. */
export const barsMissing = signal(0);

const quotes = new Map<string, Quote>();
const barListeners = new Set<(bar: KlineData) => void>();
const tradeListeners = new Set<(trade: TradeData) => void>();
let ticks = 0;

/** What is known of a code. */
export function quote(code: string): Quote {
  let found = quotes.get(code);
  if (found === undefined) quotes.set(code, (found = new Quote(code)));
  return found;
}

/** Tells of each bar that is pushed; returns what ends that. */
export function onBar(listener: (bar: KlineData) => void): () => void {
  barListeners.add(listener);
  return () => barListeners.delete(listener);
}

/** Tells of each trade of what is looked at; returns what ends that. */
export function onTrade(listener: (trade: TradeData) => void): () => void {
  tradeListeners.add(listener);
  return () => tradeListeners.delete(listener);
}

/** The codes that are watched and that the server has. */
export const watched = computed(() =>
  (watchlist.value ?? []).filter((code) => catalogue.value.has(code)).slice(0, MOST_WATCHED),
);

export function watch(code: string): void {
  const codes = watchlist.peek() ?? [];
  if (!codes.includes(code)) watchlist.value = [...codes, code];
}

export function unwatch(code: string): void {
  const codes = watchlist.peek() ?? [];
  watchlist.value = codes.filter((one) => one !== code);
}

/** Puts a code in front of another one, or at the end. */
export function move(code: string, before: string | null): void {
  const codes = (watchlist.peek() ?? []).filter((one) => one !== code);
  const place = before === null ? codes.length : codes.indexOf(before);
  watchlist.value = codes.toSpliced(place < 0 ? codes.length : place, 0, code);
}

let freshBook: BookData | null = null;

const listener: Listener = {
  trade(data: TradeData) {
    ticks++;
    quote(data.code).add(data);
    if (data.code === selected.peek()) for (const tell of tradeListeners) tell(data);
  },
  book(data: BookData) {
    ticks++;
    if (data.code !== selected.peek()) return;
    freshBook = data;
    onFrame(showBook);
  },
  kline(data: KlineData) {
    for (const tell of barListeners) tell(data);
  },
  status(data: StatusData) {
    sources.value = new Map(sources.peek()).set(data.source, data);
  },
  state(data: StateData) {
    quote(data.code).state.value = data.state;
  },
  hole({ kind, code, missed }: Hole) {
    if (kind === "trade") quote(code).hole(missed);
    else if (kind === "kline" && code === selected.peek()) barsMissing.value++;
  },
  healed() {
    // They are told anew, and may be others.
    sources.value = new Map();
    for (const one of quotes.values()) one.state.value = null;
    healed.value++;
    void refreshStates().then(refreshAll);
  },
  refused(ret: number, message: string) {
    if (ret === 401) signOut("The server does not know this token.");
    else notice.value = `The server refused a subscription: ${message} (${ret}).`;
  },
  shut(tries: number) {
    if (tries > 1) void askWhyShut();
  },
};

let asking = false;

/** Finds out by HTTP why no socket opens: there a token that is refused leads to signing in. */
async function askWhyShut(): Promise<void> {
  if (asking) return;
  asking = true;
  try {
    await fetchMarkets();
    if (linkState.peek() !== "open") notice.value = SHUT;
  } catch (error) {
    // Without any answer the server is away, which the link's state says.
    if (error instanceof ApiError && signInReason.peek() === null) notice.value = SHUT;
  } finally {
    asking = false;
  }
}

let bookDue = 0;

function showBook(): void {
  const at = performance.now();
  if (at < bookDue) {
    onFrame(showBook);
    return;
  }
  bookDue = at + PACE;
  if (freshBook !== null && freshBook.code === selected.peek()) book.value = freshBook;
}

export const sockets: Record<Family, Socket> = {
  stock: new Socket("stock", listener),
  other: new Socket("other", listener),
};

export const linkStates: Record<Family, ReadonlySignal<LinkState>> = {
  stock: sockets.stock.state,
  other: sockets.other.state,
};

/** The state of the whole way to the server: the worst of the sockets that are used. */
export const linkState = computed<LinkState>(() => {
  const states = Object.values(linkStates).map((state) => state.value);
  const order: LinkState[] = ["waiting", "connecting", "open"];
  return order.find((state) => states.includes(state)) ?? "idle";
});

effect(() => {
  if (linkState.value === "open" && notice.peek() === SHUT) notice.value = null;
});

function familyOf(code: string): Family | undefined {
  return catalogue.peek().get(code)?.family ;
}

/** Loads the catalogue, and goes on from there; tries again until there is one. */
export async function begin(): Promise<void> {
  try {
    await fetchCatalogue();
    failure.value = null;
  } catch (error) {
    if (signInReason.peek() !== null) return; // signing in begins anew
    failure.value = error instanceof ApiError ? error.message : "The server does not answer.";
    setTimeout(() => void begin(), 2000);
    return;
  }
  choose();
}

/** Looks at something that the server has. */
function choose(): void {
  watchlist.value ??= firstCodes();
  if (catalogue.peek().has(selected.peek())) return;
  if (selected.peek() !== "") notice.value = `This server has no ${selected.peek()}.`;
  selected.value = watched.peek()[0] ?? [...catalogue.peek().keys()][0] ?? "";
}

let waiting: number | undefined;
/** The names of the sources, as the first answer had them. */
let source: string | undefined;

async function fetchCatalogue(): Promise<void> {
  const [{ instrument_list }, { market_list }, ready] = await Promise.all([
    fetchInstruments(),
    fetchMarkets(),
    readiness().catch(() => null),
  ]);
  madeUp.value = ready?.simulated ?? madeUp.peek();
  source ??= ready?.source;
  if (ready && ready.source !== source) location.reload(); // all that is shown is another market's
  const time = market_list[0]?.time;
  if (time) ahead = time - Date.now();
  clearTimeout(waiting);
  if (!time) waiting = setTimeout(() => void refreshStates(), 2000); // a held replay begins with a subscription
  now.value = Date.now() + ahead;
  markets.value = market_list;
  catalogue.value = new Map(instrument_list.map((one) => [one.code, one]));
}

/** Well-known codes; where other ones have traded and these have not, such as on a desk of one's own, those. */
function firstCodes(): string[] {
  const served = [...catalogue.peek().values()];
  const known = served.filter(({ code }) => FIRST_CODES.includes(code));
  const traded = served.filter((one) => one.last_trade !== null);
  const wellKnown = known.length >= FEW && (traded.length === 0 || known.some((one) => one.last_trade !== null));
  if (wellKnown) return FIRST_CODES.filter((code) => catalogue.peek().has(code));
  return (traded.length > 0 ? traded : served).slice(0, FIRST_COUNT).map(({ code }) => code);
}

// What is wanted follows what is watched and looked at.
effect(() => {
  const code = selected.value;
  // What is looked at stands first: a plan takes the first codes of a list.
  const codes = new Set(catalogue.value.has(code) ? [code, ...watched.value] : watched.value);
  for (const family of ["stock", "other"] as const) {
    const mine = [...codes].filter((one) => familyOf(one) === family);
    const looked = mine.includes(code);
    const levels = catalogue.value.get(code)?.depth_levels ?? 0;
    sockets[family].want({
      trades: mine,
      books: new Map(looked && levels > 0 ? [[code, Math.min(levels, DEPTH)]] : []),
      klines: new Map(looked ? [[code, interval.value.number]] : []),
    });
  }
});

effect(() => {
  book.value = freshBook?.code === selected.value ? freshBook : null;
});

// The prices that changes are counted from, and the sparklines.
const known = new Set<string>();

effect(() => {
  const missing = watched.value.filter((code) => !known.has(code));
  for (const code of missing) known.add(code);
  if (missing.length > 0) void refresh(missing);
});

async function refreshAll(): Promise<void> {
  await refresh([...known]);
}

async function refresh(codes: readonly string[]): Promise<void> {
  try {
    await Promise.all((["stock", "other"] as const).map((family) => references(family, codes)));
    await sparklines(codes);
  } catch {
    for (const code of codes) if (quote(code).previousClose.peek() === null) known.delete(code);
  }
}

async function references(family: Family, codes: readonly string[]): Promise<void> {
  const mine = codes.filter((code) => familyOf(code) === family);
  for (let from = 0; from < mine.length; from += BATCH) {
    const some = mine.slice(from, from + BATCH);
    // The last short bar that had ended by then.
    const dayAgo = Math.floor(now.peek() / 1000) - 86_400 - FIVE_MINUTES.seconds;
    const [days, short] = await Promise.all([
      latestKlines(family, some, DAY.number, 2),
      latestKlines(family, some, FIVE_MINUTES.number, 1, dayAgo),
    ]);
    for (const { code, kline_data: bars } of days.kline_list) {
      const [first, latest] = bars;
      if (first !== undefined) {
        quote(code).previousClose.value = latest === undefined ? first.open_price : first.close_price;
      }
    }
    for (const { code, kline_data: bars } of short.kline_list) {
      quote(code).dayAgo.value = bars[0]?.close_price ?? null;
    }
  }
}

async function sparklines(codes: readonly string[]): Promise<void> {
  const queue = [...codes];
  const worker = async () => {
    for (let code = queue.shift(); code !== undefined; code = queue.shift()) {
      const family = familyOf(code);
      if (family === undefined) continue;
      const { kline_list } = await klines(family, code, QUARTER.number, SPARK_BARS, 0, true);
      quote(code).closes.value = kline_list.map((bar) => bar.close_price);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

// Clocks.
let measured = performance.now();

setInterval(() => {
  const at = performance.now();
  ticksPerSecond.value = Math.round((ticks * 1000) / (at - measured));
  ticks = 0;
  measured = at;
  now.value = Date.now() + ahead;
}, 1000);

/** Asks for the markets, what instruments do, and the market's time. */
export async function refreshStates(): Promise<void> {
  if (document.hidden || signInReason.peek() !== null || catalogue.peek().size === 0) return;
  try {
    await fetchCatalogue();
    choose();
  } catch {
    // the sockets tell what is wrong with the way
  }
}

setInterval(() => void refreshStates(), MINUTE);
setInterval(() => {
  if (!document.hidden) void refreshAll();
}, REFRESH);

// While a person is asked for a token, nothing is tried with the old one.
effect(() => {
  if (signInReason.value !== null) for (const socket of Object.values(sockets)) socket.stop();
});

// A new token opens everything anew.
let lastToken = signedIn.peek();
effect(() => {
  if (signedIn.value === lastToken) return;
  lastToken = signedIn.value;
  if (signInReason.peek() !== null) return;
  known.clear();
  quotes.clear();
  notice.value = null;
  for (const socket of Object.values(sockets)) socket.stop();
  catalogue.value = new Map(); // nothing is wanted before it is known what this token may read
  void begin();
});
