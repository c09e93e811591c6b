/**
 * The messages of the protocol, over HTTP and WebSocket.
 *
 * Made by scripts/make_types.py from the server's OpenAPI and AsyncAPI documents: do not edit.
 */

/**
 * Answers requests with an error: all, or those that `requests` names by `cmd_id` (22004) or by path
 * (`/kline`). `msg` and `status` are those of the protocol for that `ret` unless they are given.
 */
export interface Answer {
  do: "answer";
  at?: number;
  for?: number | null;
  tokens?: string[];
  connections?: number[];
  family?: Family | null;
  ret: number;
  msg?: string | null;
  status?: number | null;
  requests?: (number | string)[];
  chance?: number;
}

/** A line that was not taken: its number in the request or message, from 1 on. */
export interface BadLine {
  line: number;
  reason: string;
}

/** The data that /batch-kline answers. */
export interface BatchKlineList {
  kline_list: KlineGroup[];
}

/** A successful answer over HTTP. */
export interface BatchKlineListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: BatchKlineList;
}

/** The data of /batch-kline. */
export interface BatchKlineQuery {
  data_list: KlineQuery[];
}

/** A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back. */
export interface BatchKlineQueryHttpRequest {
  trace: string;
  data: BatchKlineQuery;
}

/** An order book, best levels first: the data of 22999 and an entry of /depth-tick. */
export interface BookData {
  code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  tick_time: number | string;
  bids: LevelData[];
  asks: LevelData[];
}

/** What the server sends unasked. */
export interface BookDataPush {
  cmd_id: number;
  data: BookData;
}

/** A whole book: pairs of price and volume, best first. */
export interface BookLine {
  type: "book";
  code: string;
  time: number;
  bids: [string | number, string | number][];
  asks: [string | number, string | number][];
  seq?: number;
}

/** An order book over HTTP, best levels first: an entry of /depth-tick. */
export interface BookTick {
  code: string;
  seq: string;
  tick_time: string;
  bids: LevelData[];
  asks: LevelData[];
}

/** The data that /depth-tick answers: a code that has no book is left out. */
export interface BookTickList {
  tick_list: BookTick[];
}

/** A successful answer over HTTP. */
export interface BookTickListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: BookTickList;
}

/** Every tick comes `times` times, each as a tick of its own. */
export interface Burst {
  do: "burst";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  times?: number;
}

/** The data of 22006: 0 all, 1 depth, 2 trades, 3 exchange rates. */
export interface CancelData {
  cancel_type: number;
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface CancelDataRequest {
  cmd_id: number;
  seq_id: number;
  trace: string;
  data: CancelData;
}

/**
 * Moves the market's time: `to` a moment (`2026-11-28T12:00:00Z`) or the next such weekday (`saturday 12:00`,
 * UTC), always forward; from then on it goes at `speed` (0: it stands still). `hours` says whether markets
 * keep their sessions and holidays.
 */
export interface Clock {
  do: "clock";
  at?: number;
  for?: number | null;
  to?: string | null;
  speed?: number | null;
  hours?: boolean | null;
}

/** The market is closed, whatever its calendar says. */
export interface CloseMarket {
  do: "close-market";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
}

/** `cmd_id` of the requests; the response's is one more. */
export const Command = {
  HEARTBEAT: 22000,
  DEPTH: 22002,
  TRADE: 22004,
  CANCEL: 22006,
  KLINE: 28004,
  KLINE_CANCEL: 28006,
  STATUS: 28008,
  STATUS_CANCEL: 28010,
} as const;
export type Command = (typeof Command)[keyof typeof Command];

/**
 * An open WebSocket: since how many seconds, and for how many nothing came. `token` is its name, null while
 * any is let in.
 */
export interface ConnectionInfo {
  number: number;
  token: string | null;
  plan: string;
  family: Family;
  seconds: number;
  silent_seconds: number;
}

/** The open WebSockets of clients. */
export interface ConnectionList {
  connections: ConnectionInfo[];
}

/** Answers come so many seconds late, in order. */
export interface Delay {
  do: "delay";
  at?: number;
  for?: number | null;
  tokens?: string[];
  connections?: number[];
  family?: Family | null;
  by?: number | [number, number];
  chance?: number;
}

/** The book is emptied on both sides, and nothing is traded any more. */
export interface Delist {
  do: "delist";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
}

/** The levels of a book that have changed, in any order; volume 0 removes one. */
export interface DeltaLine {
  type: "delta";
  code: string;
  time: number;
  bids: [string | number, string | number][];
  asks: [string | number, string | number][];
  seq?: number;
}

/** An instrument whose book is asked for; `depth_level` 0 means all levels. */
export interface DepthSymbol {
  code: string;
  depth_level?: number | null;
}

/** The data of 22002. */
export interface DepthSymbolList {
  symbol_list: DepthSymbol[];
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface DepthSymbolListRequest {
  cmd_id: number;
  seq_id: number;
  trace: string;
  data: DepthSymbolList;
}

/** Ends a connection `after` so many seconds of it: with a close frame, or by a reset of TCP. */
export interface Disconnect {
  do: "disconnect";
  at?: number;
  for?: number | null;
  tokens?: string[];
  connections?: number[];
  family?: Family | null;
  after?: number | [number, number];
  code?: number;
  reason?: string;
  reset?: boolean;
  chance?: number;
}

/** A tick is pushed twice, with the same `seq`. */
export interface Duplicate {
  do: "duplicate";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  chance?: number;
}

/** Tokens count as expired: their connections end, and 401 answers whatever they ask for. */
export interface ExpireToken {
  do: "expire-token";
  at?: number;
  for?: number | null;
  tokens?: string[];
  connections?: number[];
  family?: Family | null;
}

/** What went wrong, as a sentence for a person. */
export interface Failure {
  error: string;
}

/** The two halves of the protocol, each with paths of its own. */
export type Family = "stock" | "other";

/** The source is silent, although the market trades. */
export interface Gap {
  do: "gap";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
}

/**
 * A time in which a source was down, in milliseconds since the epoch.
 *
 * `end` is null while it lasts, `filled` (when the bars were complete again) while they are not; `codes` are
 * those that went missing.
 */
export interface GapInfo {
  source: string;
  market: Market;
  codes: string[];
  begin: number;
  end: number | null;
  reason: string;
  filled: number | null;
}

/** The data that /v1/gaps answers. */
export interface GapList {
  gap_list: GapInfo[];
}

/** A successful answer over HTTP. */
export interface GapListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: GapList;
}

/** Trading stops: no more ticks. US and Shanghai stocks get an entry in the list of suspensions. */
export interface Halt {
  do: "halt";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  reason?: string;
}

/** The process answers. */
export interface Health {
  status: string;
}

/** An error over HTTP: no `data`, `trace` empty if unknown. */
export interface HttpError {
  msg: string;
  trace: string;
  ret: number;
}

/** 429 over HTTP. The live service sends `error_msg` alone, and clients look for its text. */
export interface HttpTooMany {
  ret: number;
  msg: string;
  error_msg: string;
  trace: string;
}

/** An instrument, with what it does now: `depth_levels` 0 means that it has no book. */
export interface InstrumentInfo {
  code: string;
  aliases: string[];
  family: Family;
  market: Market;
  calendar: string;
  state: State;
  name_en: string;
  name_cn: string;
  name_hk: string;
  exchange: string;
  currency: string;
  lot_size: string;
  depth_levels: number;
  price_decimals: number;
  volume_decimals: number;
  turnover_decimals: number;
}

/** A new instrument, or one that is known already. */
export interface InstrumentLine {
  type: "instrument";
  seq?: number;
  code: string;
  market: Market;
  price_decimals: number;
  volume_decimals: number;
  turnover_decimals: number;
  levels: number;
  volume_unit?: number;
  reference_price?: string;
  name_en?: string;
  name_cn?: string;
  name_hk?: string;
  currency?: string;
  calendar?: string;
  exchange?: string;
  board?: string;
  lot_size?: string;
  total_shares?: string;
  circulating_shares?: string;
  hk_shares?: string;
  eps?: string;
  eps_ttm?: string;
  bps?: string;
  dividend_yield?: string;
}

/** The data that /v1/instruments answers. */
export interface InstrumentList {
  instrument_list: InstrumentInfo[];
}

/** A successful answer over HTTP. */
export interface InstrumentListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: InstrumentList;
}

/** All prices move by `percent` at once, and back when the step ends. */
export interface Jump {
  do: "jump";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  percent: string;
}

/** A bar; `timestamp` is its open time in seconds. */
export interface KlineBar {
  /** Its open time, in seconds since the epoch. */
  timestamp: string;
  /** An exact decimal, with the instrument's decimals. */
  open_price: string;
  /** An exact decimal, with the instrument's decimals. */
  close_price: string;
  /** An exact decimal, with the instrument's decimals. */
  high_price: string;
  /** An exact decimal, with the instrument's decimals. */
  low_price: string;
  /** An exact decimal, with the instrument's decimals. */
  volume: string;
  /** An exact decimal, with the instrument's decimals. */
  turnover: string;
}

/**
 * A bar that is pushed: the data of 28998.
 *
 * `state` is `forming`, `closed` or `revised`; `incomplete` is 1 if the source was down during a part of the
 * bar. The fields from `timestamp` on are those of /kline, and so are their values once it has closed.
 */
export interface KlineData {
  code: string;
  kline_type: number;
  /** Grows by one per code and kind; a text over HTTP. */
  seq: number | string;
  /** What the bar has come to; `revised` by a trade that came late. */
  state: "forming" | "closed" | "revised";
  incomplete: 0 | 1;
  /** Its open time, in seconds since the epoch. */
  timestamp: string;
  /** An exact decimal, with the instrument's decimals. */
  open_price: string;
  /** An exact decimal, with the instrument's decimals. */
  close_price: string;
  /** An exact decimal, with the instrument's decimals. */
  high_price: string;
  /** An exact decimal, with the instrument's decimals. */
  low_price: string;
  /** An exact decimal, with the instrument's decimals. */
  volume: string;
  /** An exact decimal, with the instrument's decimals. */
  turnover: string;
}

/** What the server sends unasked. */
export interface KlineDataPush {
  cmd_id: number;
  data: KlineData;
}

/** One code and type of a /batch-kline answer. */
export interface KlineGroup {
  code: string;
  kline_type: number;
  kline_data: KlineBar[];
}

/** The data that /kline answers: bars by time, the last one still forming. */
export interface KlineList {
  code: string;
  kline_type: number;
  kline_list: KlineBar[];
}

/** A successful answer over HTTP. */
export interface KlineListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: KlineList;
}

/**
 * The data of /kline, and an entry of /batch-kline.
 *
 * `kline_timestamp_end` is in seconds or milliseconds, 0 for the latest bars; `adjust_type` is read and
 * answered unadjusted.
 */
export interface KlineQuery {
  code: string;
  kline_type: number;
  kline_timestamp_end?: number;
  query_kline_num?: number;
  adjust_type?: number;
}

/** A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back. */
export interface KlineQueryHttpRequest {
  trace: string;
  data: KlineQuery;
}

/** A code and a type of bars to be pushed. */
export interface KlineSymbol {
  code: string;
  kline_type: number;
}

/** The data of 28004. */
export interface KlineSymbolList {
  symbol_list: KlineSymbol[];
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface KlineSymbolListRequest {
  cmd_id: number;
  seq_id: number;
  trace: string;
  data: KlineSymbolList;
}

/** Ticks arrive later than they happened, behind younger ones. */
export interface Late {
  do: "late";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  by?: number | [number, number];
  chance?: number;
}

/** A level of a book. */
export interface LevelData {
  /** An exact decimal, with the instrument's decimals. */
  price: string;
  /** An exact decimal, with the instrument's decimals. */
  volume: string;
}

/** The price stands `percent` below the last one, where only sellers are left: the book has no bids. */
export interface LimitDown {
  do: "limit-down";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  percent?: string;
}

/** The price stands `percent` above the last one, where only buyers are left: the book has no asks. */
export interface LimitUp {
  do: "limit-up";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  percent?: string;
}

/** A line of what is published; `type` says which. */
export type Line = TradeLine | BookLine | DeltaLine | QuoteLine | InstrumentLine;

/** Where an instrument is traded. */
export type Market = "index" | "us_stock" | "hk_stock" | "cn_stock" | "forex" | "metals" | "energy" | "cfd_index" | "crypto";

/**
 * A calendar and what it says now.
 *
 * `next_open` and `next_close` are in milliseconds since the epoch, null if there is none to come; `holidays`
 * are the weekdays of the next year without trading, as far as `known_until`: beyond it all weekdays count as
 * open. `round_the_clock` says that this server's markets keep no hours.
 */
export interface MarketInfo {
  calendar: string;
  markets: Market[];
  instruments: number;
  timezone: string;
  state: State;
  round_the_clock: boolean;
  time: number;
  next_open: number | null;
  next_close: number | null;
  holidays: string[];
  known_until: string;
}

/** The data that /v1/markets answers. */
export interface MarketList {
  market_list: MarketInfo[];
}

/** A successful answer over HTTP. */
export interface MarketListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: MarketList;
}

/** An entry of /api/suspension/nasdaq: several reasons, and no `haltDateTime`, as the live service. */
export interface NasdaqEntry {
  symbol: string;
  symbolName: string | null;
  haltDate: string | null;
  haltTime: string | null;
  sourceExchange: string | null;
  haltReason: string[];
  pauseThresholdPrice: string | null;
  resumeDate: string | null;
  resumeTime: string | null;
  resumeDateTime: string | null;
  publishDate: string;
}

/** The answer of /api/suspension/nasdaq. The fields of a page are there if a page was asked for. */
export interface NasdaqPage {
  data: NasdaqEntry[];
  success: boolean;
  timestamp: string;
  totalCount: number;
  totalPages?: number;
  currentPage?: number;
  currentSize?: number;
}

/** The data of a heartbeat, of 28006, 28008 and 28010. */
export type Nothing = Record<string, never>;

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface NothingRequest {
  cmd_id: number;
  seq_id: number;
  trace: string;
  data: Nothing;
}

/** An entry of /api/suspension/nyse. */
export interface NyseEntry {
  symbol: string;
  symbolName: string | null;
  haltReason: string | null;
  haltDate: string | null;
  haltTime: string | null;
  haltDateTime: string | null;
  resumeDate: string | null;
  resumeTime: string | null;
  resumeDateTime: string | null;
  sourceExchange: string | null;
  publishDate: string;
}

/** The answer of /api/suspension/nyse. The fields of a page are there if a page was asked for. */
export interface NysePage {
  data: NyseEntry[];
  success: boolean;
  timestamp: string;
  totalCount: number;
  totalPages?: number;
  currentPage?: number;
  currentSize?: number;
}

/** A tick is pushed behind the next one of its code and kind, whose `seq` is greater. */
export interface OutOfOrder {
  do: "out-of-order";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
  chance?: number;
}

/** `cmd_id` of what the server sends unasked. */
export const PushCommand = {
  DEPTH: 22999,
  TRADE: 22998,
  KLINE: 28998,
  STATUS: 28997,
} as const;
export type PushCommand = (typeof PushCommand)[keyof typeof PushCommand];

/** A book of one level. A side that is left out is empty, a volume that is left out 0. */
export interface QuoteLine {
  type: "quote";
  code: string;
  time: number;
  bid?: string | number | null;
  bid_volume?: string | number | null;
  ask?: string | number | null;
  ask_volume?: string | number | null;
  seq?: number;
}

/** Whether the server serves, and how its sources are. A source that is down makes no server unready. */
export interface Readiness {
  ready: boolean;
  source: string;
  simulated: boolean;
  events: number;
  recording: boolean | null;
  sources: SourceReadiness[];
}

/** Refuses new connections on the upgrade with that HTTP status. */
export interface Refuse {
  do: "refuse";
  at?: number;
  for?: number | null;
  tokens?: string[];
  connections?: number[];
  family?: Family | null;
  status?: number;
  chance?: number;
}

/** The answer to a request over WebSocket. */
export interface Response {
  ret: number;
  msg: string;
  cmd_id: number;
  seq_id: number;
  trace: string;
  data: Record<string, never>;
}

/** Ends the halts that there are. */
export interface Resume {
  do: "resume";
  at?: number;
  for?: number | null;
  codes?: string[];
  markets?: Market[];
}

/** Steps under a name. Without a `seed` the server's is used; the same seed throws the same dice. */
export interface Scenario {
  step: (Halt | Resume | LimitUp | LimitDown | Delist | CloseMarket | Gap | Burst | Late | Duplicate | OutOfOrder | Jump | Disconnect | Refuse | Answer | Delay | ExpireToken | Clock)[];
  name?: string;
  description?: string;
  seed?: number | null;
}

/** The scenarios that run, and those of the library with what they do, by name. */
export interface ScenarioList {
  running: ScenarioRun[];
  library: Record<string, string>;
}

/** A scenario of the library. */
export interface ScenarioName {
  name: string;
}

/**
 * A scenario that runs under a number, since so many seconds. `active` are those of its steps that are at
 * work, `ahead` those to come, the next one first, all as they were written: without what is left to its
 * default, and without the tokens that they name.
 */
export interface ScenarioRun {
  number: number;
  name: string;
  description: string;
  seconds: number;
  active: Record<string, unknown>[];
  ahead: Record<string, unknown>[];
}

/**
 * How a source is, since when (milliseconds since the epoch) and what failed, empty if nothing did.
 *
 * `lag_ms` is how long the last event took from the source's time to its arrival, null before the first one
 * of a live source. `events` were taken, `bad` could not be read, `late` came too late for their bars,
 * `dropped` came faster than they were taken. `recording` is null if the source is not recorded, false if
 * that has stopped.
 */
export interface SourceReadiness {
  name: string;
  simulated: boolean;
  status: Status;
  since: number;
  reason: string;
  lag_ms: number | null;
  events: number;
  bad: number;
  late: number;
  dropped: number;
  recording: boolean | null;
}

/** An entry of /api/suspension/sse. */
export interface SseEntry {
  symbol: string;
  symbolName: string | null;
  haltReason: string | null;
  haltDate: string | null;
  haltTime: string | null;
  haltPeriod: string | null;
  resumeDate: string | null;
  resumeTime: string | null;
  publishDate: string;
}

/** The answer of /api/suspension/sse. The fields of a page are there if a page was asked for. */
export interface SsePage {
  data: SseEntry[];
  success: boolean;
  timestamp: string;
  totalCount: number;
  totalPages?: number;
  currentPage?: number;
  currentSize?: number;
}

/** How a publisher stands: the data that GET answers. */
export interface Standing {
  publisher: string;
  seq: number;
  queued: number;
  limit: number;
}

/** A successful answer over HTTP. */
export interface StandingAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: Standing;
}

/**
 * What a market does at a moment, and from HALTED on an instrument of it, which no calendar knows.
 *
 * PRE_OPEN is the time before the first session in which orders are taken and an opening auction may print,
 * without continuous trading. BREAK is a gap between two sessions of a trading date, or one that the vendor
 * publishes as a daily break.
 */
export type State = "pre-open" | "open" | "break" | "closed" | "halted" | "limit-up" | "limit-down" | "delisted";

/** An entry of /static_info; what is not known is an empty string. */
export interface StaticInfo {
  symbol: string;
  name_cn: string;
  name_en: string;
  name_hk: string;
  exchange: string;
  board: string;
  currency: string;
  lot_size: string;
  total_shares: string;
  circulating_shares: string;
  hk_shares: string;
  eps: string;
  eps_ttm: string;
  bps: string;
  dividend_yield: string;
}

/** The data that /static_info answers. */
export interface StaticInfoList {
  static_info_list: StaticInfo[];
}

/** A successful answer over HTTP. */
export interface StaticInfoListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: StaticInfoList;
}

/**
 * What a source has come to.
 *
 * STALE: connected, yet nothing comes although its markets are open.
 */
export type Status = "connecting" | "up" | "stale" | "down";

/**
 * How a source is: the data of 28997.
 *
 * `status` is `connecting`, `up`, `stale` or `down`, `since` when it became so, in milliseconds since the
 * epoch, `reason` what failed, empty if nothing did; `simulated` is 1 if the source makes its data up.
 */
export interface StatusData {
  source: string;
  status: "connecting" | "up" | "stale" | "down";
  since: number;
  reason: string;
  simulated: 0 | 1;
}

/** What the server sends unasked. */
export interface StatusDataPush {
  cmd_id: number;
  data: StatusData;
}

/** The numbers of the scenarios that were stopped. */
export interface StoppedList {
  stopped: number[];
}

/** An answer that says what went wrong. */
export interface SuspensionError {
  success: boolean;
  error: string;
}

/** An instrument that is asked for. */
export interface Symbol {
  code: string;
}

/** The data of 22004, /trade-tick, /depth-tick and /static_info. */
export interface SymbolList {
  symbol_list: Symbol[];
}

/** A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back. */
export interface SymbolListHttpRequest {
  trace: string;
  data: SymbolList;
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface SymbolListRequest {
  cmd_id: number;
  seq_id: number;
  trace: string;
  data: SymbolList;
}

/**
 * What has become of the lines of a request or message: the data of the answer.
 *
 * `lines` were read, `accepted` and `duplicates` (of a `seq` that came before) taken, `bad_lines` refused.
 * `seq` is the publisher's last one. `queued` of `limit` trades and levels of books wait to be served.
 * `message` is the number of the message on its WebSocket.
 */
export interface Tally {
  message?: number;
  lines: number;
  accepted: number;
  duplicates: number;
  bad_lines: number;
  bad: BadLine[];
  seq: number;
  queued: number;
  limit: number;
}

/** A successful answer over HTTP. */
export interface TallyAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: Tally;
}

/** The data that /trade-tick and /depth-tick answer. */
export type TickList = TradeTickList | BookTickList;

/** A trade: the data of 22998 and an entry of /trade-tick. */
export interface TradeData {
  code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  tick_time: number | string;
  /** An exact decimal, with the instrument's decimals. */
  price: string;
  /** An exact decimal, with the instrument's decimals. */
  volume: string;
  /** An exact decimal, with the instrument's decimals. */
  turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  trade_direction: 0 | 1 | 2;
}

/** What the server sends unasked. */
export interface TradeDataPush {
  cmd_id: number;
  data: TradeData;
}

/** A trade. */
export interface TradeLine {
  type: "trade";
  code: string;
  time: number;
  price: string | number;
  volume: string | number;
  turnover?: string | number | null;
  direction?: number;
  seq?: number;
}

/** A trade over HTTP: an entry of /trade-tick. */
export interface TradeTick {
  code: string;
  seq: string;
  tick_time: string;
  /** An exact decimal, with the instrument's decimals. */
  price: string;
  /** An exact decimal, with the instrument's decimals. */
  volume: string;
  /** An exact decimal, with the instrument's decimals. */
  turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  trade_direction: 0 | 1 | 2;
}

/** The data that /trade-tick answers: a code that has not traded yet is left out. */
export interface TradeTickList {
  tick_list: TradeTick[];
}

/** A successful answer over HTTP. */
export interface TradeTickListAnswer {
  ret: number;
  msg: string;
  trace: string;
  data: TradeTickList;
}
