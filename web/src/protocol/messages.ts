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
  readonly do: "answer";
  readonly at?: number;
  readonly for?: number | null;
  readonly tokens?: readonly string[];
  readonly connections?: readonly number[];
  readonly family?: Family | null;
  readonly ret: number;
  readonly msg?: string | null;
  readonly status?: number | null;
  readonly requests?: readonly (number | string)[];
  readonly chance?: number;
}

/** A line that was not taken: its number in the request or message, from 1 on. */
export interface BadLine {
  readonly line: number;
  readonly reason: string;
}

/** The data that /batch-kline answers. */
export interface BatchKlineList {
  readonly kline_list: readonly KlineGroup[];
}

/** A successful answer over HTTP. */
export interface BatchKlineListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: BatchKlineList;
}

/** The data of /batch-kline. */
export interface BatchKlineQuery {
  readonly data_list: readonly KlineQuery[];
}

/** A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back. */
export interface BatchKlineQueryHttpRequest {
  readonly trace: string;
  readonly data: BatchKlineQuery;
}

/** An order book, best levels first: the data of 22999 and an entry of /depth-tick. */
export interface BookData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  readonly bids: readonly LevelData[];
  readonly asks: readonly LevelData[];
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface BookDataPush {
  readonly cmd_id: number;
  readonly data: BookData;
}

/** A whole book: pairs of price and volume, best first. */
export interface BookLine {
  readonly type: "book";
  readonly code: string;
  readonly time: number;
  readonly bids: readonly (readonly [string | number, string | number])[];
  readonly asks: readonly (readonly [string | number, string | number])[];
  readonly seq?: number;
}

/** An order book over HTTP, best levels first: an entry of /depth-tick. */
export interface BookTick {
  readonly code: string;
  readonly seq: string;
  readonly tick_time: string;
  readonly bids: readonly LevelData[];
  readonly asks: readonly LevelData[];
}

/** The data that /depth-tick answers: a code that has no book is left out. */
export interface BookTickList {
  readonly tick_list: readonly BookTick[];
}

/** A successful answer over HTTP. */
export interface BookTickListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: BookTickList;
}

/** Every tick comes `times` times, each as a tick of its own. */
export interface Burst {
  readonly do: "burst";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly times?: number;
}

/** The data of 22006: 0 all, 1 depth, 2 trades, 3 exchange rates. */
export interface CancelData {
  readonly cancel_type: number;
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface CancelDataRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: CancelData;
}

/** The trade that was published under the `seq` of `trade` has not taken place. */
export interface CancelLine {
  readonly type: "cancel";
  readonly code: string;
  readonly time: number;
  readonly trade: number;
  readonly seq?: number;
}

/** The data of 28012: what leaves the lists, then what joins them; one of the two at least. */
export interface ChangeData {
  readonly add?: readonly Item[];
  readonly remove?: readonly Item[];
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface ChangeDataRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ChangeData;
}

/** The data of 28013: every item that was named, in order. */
export interface ChangedData {
  readonly added: readonly ItemState[];
  readonly removed: readonly ItemState[];
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface ChangedDataResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ChangedData;
}

/**
 * Moves the market's time: `to` a moment (`2026-11-28T12:00:00Z`) or the next such weekday (`saturday 12:00`,
 * UTC), always forward; from then on it goes at `speed` (0: it stands still). `hours` says whether markets
 * keep their sessions and holidays.
 */
export interface Clock {
  readonly do: "clock";
  readonly at?: number;
  readonly for?: number | null;
  readonly to?: string | null;
  readonly speed?: number | null;
  readonly hours?: boolean | null;
}

/** The market is closed, whatever its calendar says. */
export interface CloseMarket {
  readonly do: "close-market";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
}

/** Codes that are subscribed to upstream; `most` is how many the plan allows, null for no limit. */
export interface CodesInfo {
  readonly family: Family;
  readonly kind: string;
  readonly used: number;
  readonly most: number | null;
}

/** `cmd_id` of the requests; the response's is one more. */
export const Command = {
  HEARTBEAT: 22000,
  DEPTH: 22002,
  TRADE: 22004,
  CANCEL: 22006,
  HELLO: 28000,
  KLINE: 28004,
  KLINE_CANCEL: 28006,
  STATUS: 28008,
  STATUS_CANCEL: 28010,
  CHANGE: 28012,
  LIST: 28014,
  RESUME: 28016,
  REPLAY: 28018,
  REPLAY_CONTROL: 28020,
  OPTIONS: 28022,
  STATES: 28024,
  STATES_CANCEL: 28026,
  CORRECTION: 28028,
  CORRECTION_CANCEL: 28030,
} as const;
export type Command = (typeof Command)[keyof typeof Command];

/**
 * An open WebSocket: since how many seconds, and for how many nothing came. `token` is its name, null while
 * any is let in. `number` is what a step of a scenario names it by; no other has it. `worker` is the process
 * that serves it, where there are several.
 */
export interface ConnectionInfo {
  readonly number: number;
  readonly token: string | null;
  readonly plan: string;
  readonly family: Family;
  readonly seconds: number;
  readonly silent_seconds: number;
  readonly deviations: readonly DeviationCount[];
  readonly worker?: string;
}

/**
 * The open WebSockets of clients; of HTTP only what was not as documented, by token. Where a server has
 * several processes, those of all, and `missing` are the processes that did not answer.
 */
export interface ConnectionList {
  readonly connections: readonly ConnectionInfo[];
  readonly http: readonly HttpDeviations[];
  readonly missing?: readonly string[];
}

/** WebSockets upstream; `most` is how many the plan allows, null for no limit. */
export interface ConnectionsInfo {
  readonly family: Family;
  readonly used: number;
  readonly most: number | null;
}

/** The data of 28020; `time` is where `seek` goes on, `speed` the new one of `speed`. */
export interface ControlData {
  readonly id: number;
  readonly action: "pause" | "resume" | "seek" | "speed" | "step" | "stop";
  readonly time?: number;
  readonly speed?: number;
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface ControlDataRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ControlData;
}

/**
 * The trade that was published under the `seq` of `trade` was another one: its price, volume and so on are
 * these, its time stays. Without a turnover that is price × volume, without a direction it stays.
 */
export interface CorrectLine {
  readonly type: "correct";
  readonly code: string;
  readonly time: number;
  readonly trade: number;
  readonly price: string | number;
  readonly volume: string | number;
  readonly turnover?: string | number | null;
  readonly direction?: number | null;
  readonly seq?: number;
}

/**
 * A trade was not as it had been told: the data of 28992.
 *
 * `tick_time` is when that was said. `trade_seq` is the `seq` of the trade's 22998, 0 where that is not known
 * any more, `trade_time` its time. The fields that begin with `was` are what it counted as until then; the
 * last four what it counts as: where `action` is `cancel`, with a volume and a turnover of zero.
 */
export interface CorrectionData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  readonly action: "correct" | "cancel";
  /** Grows by one per code and kind; a text over HTTP. */
  readonly trade_seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly trade_time: number | string;
  /** An exact decimal, with the instrument's decimals. */
  readonly was_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly was_volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly was_turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly was_direction: 0 | 1 | 2;
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly trade_direction: 0 | 1 | 2;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface CorrectionDataPush {
  readonly cmd_id: number;
  readonly data: CorrectionData;
}

/** Answers come so many seconds late, in order. */
export interface Delay {
  readonly do: "delay";
  readonly at?: number;
  readonly for?: number | null;
  readonly tokens?: readonly string[];
  readonly connections?: readonly number[];
  readonly family?: Family | null;
  readonly by?: number | readonly [number, number];
  readonly chance?: number;
}

/** The book is emptied on both sides, and nothing is traded any more. */
export interface Delist {
  readonly do: "delist";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
}

/** The levels of a book that have changed, in any order; volume 0 removes one. */
export interface DeltaLine {
  readonly type: "delta";
  readonly code: string;
  readonly time: number;
  readonly bids: readonly (readonly [string | number, string | number])[];
  readonly asks: readonly (readonly [string | number, string | number])[];
  readonly seq?: number;
}

/** An instrument whose book is asked for; `depth_level` 0 means all levels. */
export interface DepthSymbol {
  readonly code: string;
  readonly depth_level?: number | null;
}

/** The data of 22002. */
export interface DepthSymbolList {
  readonly symbol_list: readonly DepthSymbol[];
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface DepthSymbolListRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: DepthSymbolList;
}

/** What is not as documented; the page on the protocol says what each name stands for. */
export type Deviation = "not_json" | "lenient_json" | "heartbeat_number" | "unknown_command" | "missing_field" | "null_field" | "unknown_field" | "number_as_text" | "large_seq_id" | "empty_data" | "impossible_value" | "plain_code" | "symbol_for_code" | "duplicate_code" | "alias" | "other_family" | "unknown_code" | "codes_left_out" | "bars_left_out" | "too_fast" | "late_heartbeat" | "heartbeat_timeout" | "ping_for_heartbeat" | "binary_frame" | "broken_frame" | "token_in_header" | "unknown_path" | "wrong_method";

/**
 * How often a client did something that the documents do not allow; `detail` says with what, such as the name
 * of a field, and is empty where there is nothing to say.
 */
export interface DeviationCount {
  readonly deviation: Deviation;
  readonly detail: string;
  readonly count: number;
}

/** Ends a connection `after` so many seconds of it: with a close frame, or by a reset of TCP. */
export interface Disconnect {
  readonly do: "disconnect";
  readonly at?: number;
  readonly for?: number | null;
  readonly tokens?: readonly string[];
  readonly connections?: readonly number[];
  readonly family?: Family | null;
  readonly after?: number | readonly [number, number];
  readonly code?: number;
  readonly reason?: string;
  readonly reset?: boolean;
  readonly chance?: number;
}

/** A tick is pushed twice, with the same `seq`. */
export interface Duplicate {
  readonly do: "duplicate";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly chance?: number;
}

/** Tokens count as expired: their connections end, and 401 answers whatever they ask for. */
export interface ExpireToken {
  readonly do: "expire-token";
  readonly at?: number;
  readonly for?: number | null;
  readonly tokens?: readonly string[];
  readonly connections?: readonly number[];
  readonly family?: Family | null;
}

/** What went wrong, as a sentence for a person. */
export interface Failure {
  readonly error: string;
}

/** The two halves of the protocol, each with paths of its own. */
export type Family = "stock" | "other";

/**
 * The flags that a client names, the data of 28022: `slow` says what becomes of it while it cannot keep up,
 * `max_rate` how many pushes a second of each stream it wants (0: all), `batch` 1 that a frame is an array of
 * pushes, `times` 1 that a push says when it came and went, `encoding` how they are written.
 */
export interface Flags {
  readonly slow?: Slow;
  readonly max_rate?: number;
  readonly batch?: number;
  readonly times?: number;
  readonly encoding?: "json" | "msgpack";
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface FlagsRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: Flags;
}

/** The source is silent, although the market trades. */
export interface Gap {
  readonly do: "gap";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
}

/**
 * The data of 28993: a stream goes on at `first` of this `epoch`, behind an outage. Either (`gap` 1) what
 * lies between that and the last event before cannot be had, or (`gap` 0) it follows, and comes late. In a
 * `replay`, by its number, it is the recording that lacks it; `epoch` is 0 where it is of an earlier run.
 */
export interface GapData {
  readonly kind: "correction" | "depth" | "kline" | "trade";
  readonly code: string;
  readonly epoch: number;
  readonly from: number;
  readonly gap: number;
  readonly kline_type?: number;
  readonly replay?: number;
}

/** What the server sends unasked. */
export interface GapDataPush {
  readonly cmd_id: number;
  readonly data: GapData;
}

/**
 * A time in which a source of the server was down: its data is missing for everybody.
 *
 * `end` is null while it lasts, `filled` (when the bars were complete again) while they are not; `codes` are
 * those that went missing.
 */
export interface GapInfo {
  readonly source: string;
  readonly market: "index" | "us_stock" | "hk_stock" | "cn_stock" | "forex" | "metals" | "energy" | "cfd_index" | "crypto";
  readonly codes: readonly string[];
  readonly begin: number;
  readonly end: number | null;
  readonly reason: string;
  readonly filled: number | null;
}

/** The data that /v1/gaps answers. */
export interface GapList {
  readonly gap_list: readonly GapInfo[];
}

/** A successful answer over HTTP. */
export interface GapListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: GapList;
}

/** Trading stops: no more ticks. US and Shanghai stocks get an entry in the list of suspensions. */
export interface Halt {
  readonly do: "halt";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly reason?: string;
}

/** The process answers. */
export interface Health {
  readonly status: string;
}

/**
 * The data of 28001.
 *
 * `time` is the server's clock in milliseconds since the epoch; `plan` has the limits of the token by name,
 * without those that it has not; `extensions` are the numbers of requests beyond AllTick's that are answered,
 * `encodings` how messages may be written. A client that was cut may ask for what it missed in the last
 * `resume_seconds`; 0: it may not.
 */
export interface HelloData {
  readonly server: string;
  readonly version: string;
  readonly time: number;
  readonly plan: Readonly<Record<string, string | number>>;
  readonly extensions: readonly number[];
  readonly encodings: readonly string[];
  readonly resume_seconds: number;
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface HelloDataResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: HelloData;
}

/** What the requests of a token over HTTP did, since the server's start. */
export interface HttpDeviations {
  readonly token: string | null;
  readonly deviations: readonly DeviationCount[];
}

/** An error over HTTP: no `data`, `trace` empty if unknown. */
export interface HttpError {
  readonly msg: string;
  readonly trace: string;
  readonly ret: number;
}

/** 429 over HTTP. The live service sends `error_msg` alone, and clients look for its text. */
export interface HttpTooMany {
  readonly ret: number;
  readonly msg: string;
  readonly error_msg: string;
  readonly trace: string;
}

/**
 * An instrument, with what it does now: `depth_levels` 0 means that it has no book. `state` is that of its
 * market, or what befell the instrument alone.
 *
 * `last_trade` is when the last trade was that the server knows of. `learned` says that no catalogue has it:
 * the server learned from its own upstream what the code is. `negative_prices` says whether its prices may be
 * zero and below; null of a server that does not say it.
 */
export interface InstrumentInfo {
  readonly code: string;
  readonly aliases: readonly string[];
  readonly family: "stock" | "other";
  readonly market: "index" | "us_stock" | "hk_stock" | "cn_stock" | "forex" | "metals" | "energy" | "cfd_index" | "crypto";
  readonly calendar: string;
  readonly state: "open" | "closed" | "pre-open" | "break" | "halted" | "limit-up" | "limit-down" | "delisted";
  readonly name_en: string;
  readonly name_cn: string;
  readonly name_hk: string;
  readonly exchange: string;
  readonly currency: string;
  readonly lot_size: string;
  readonly depth_levels: number;
  readonly price_decimals: number;
  readonly volume_decimals: number;
  readonly turnover_decimals: number;
  readonly last_trade?: number | null;
  readonly learned: boolean;
  readonly negative_prices?: boolean | null;
}

/** A new instrument, or one that is known already. */
export interface InstrumentLine {
  readonly type: "instrument";
  readonly seq?: number;
  readonly code: string;
  readonly market: Market;
  readonly price_decimals: number;
  readonly volume_decimals: number;
  readonly turnover_decimals: number;
  readonly levels: number;
  readonly volume_unit?: number;
  readonly reference_price?: string;
  readonly negative_prices?: boolean | null;
  readonly name_en?: string;
  readonly name_cn?: string;
  readonly name_hk?: string;
  readonly currency?: string;
  readonly calendar?: string;
  readonly learned?: string;
  readonly exchange?: string;
  readonly board?: string;
  readonly lot_size?: string;
  readonly total_shares?: string;
  readonly circulating_shares?: string;
  readonly hk_shares?: string;
  readonly eps?: string;
  readonly eps_ttm?: string;
  readonly bps?: string;
  readonly dividend_yield?: string;
}

/** The data that /v1/instruments answers. `next` is there if there are more: the code to go on `after`. */
export interface InstrumentList {
  readonly instrument_list: readonly InstrumentInfo[];
  readonly next?: string;
}

/** A successful answer over HTTP. */
export interface InstrumentListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: InstrumentList;
}

/** A stream: `depth_level` is of books, 0 for all levels, `kline_type` of K-lines, which need it. */
export interface Item {
  readonly kind: "correction" | "depth" | "kline" | "trade";
  readonly code: string;
  readonly depth_level?: number;
  readonly kline_type?: number;
}

/**
 * What became of an item. What was taken has the position that it goes on from: the `epoch` of the stream and
 * the `seq` of its last event, 0 if there is none yet. A pattern, and what is pending, has the `epoch` alone.
 */
export interface ItemState {
  readonly kind: "correction" | "depth" | "kline" | "trade";
  readonly code: string;
  readonly depth_level?: number;
  readonly kline_type?: number;
  readonly state: "already" | "gap" | "not_subscribed" | "ok" | "over_limit" | "pending" | "resumed" | "unauthorized" | "unknown";
  readonly epoch?: number;
  readonly seq?: number;
}

/** All prices move by `percent` at once, and back when the step ends. */
export interface Jump {
  readonly do: "jump";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly percent: string;
}

/** A bar; `timestamp` is its open time in seconds. */
export interface KlineBar {
  /** Its open time, in seconds since the epoch. */
  readonly timestamp: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly open_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly close_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly high_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly low_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
}

/**
 * A bar that is pushed: the data of 28998.
 *
 * `state` is `forming`, `closed` or `revised`; `incomplete` is 1 if the source was down during a part of the
 * bar. The fields from `timestamp` on are those of /kline, and so are their values once it has closed.
 * `removed` is there, and 1, if all its trades were cancelled: the rest is what it was. `trade_seq` is there
 * for who sent 28012 or 28016: the `seq` of the last trade that it may count, 0 if there was none.
 */
export interface KlineData {
  readonly code: string;
  readonly kline_type: number;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** What the bar has come to; `revised` by a trade that came late or was corrected. */
  readonly state: "forming" | "closed" | "revised";
  readonly incomplete: 0 | 1;
  /** Its open time, in seconds since the epoch. */
  readonly timestamp: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly open_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly close_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly high_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly low_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  readonly removed?: 0 | 1;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly trade_seq?: number | string;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface KlineDataPush {
  readonly cmd_id: number;
  readonly data: KlineData;
}

/** One code and type of a /batch-kline answer. */
export interface KlineGroup {
  readonly code: string;
  readonly kline_type: number;
  readonly kline_data: readonly KlineBar[];
}

/** The data that /kline answers: bars by time, the last one still forming. */
export interface KlineList {
  readonly code: string;
  readonly kline_type: number;
  readonly kline_list: readonly KlineBar[];
}

/** A successful answer over HTTP. */
export interface KlineListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: KlineList;
}

/**
 * The data of /kline, and an entry of /batch-kline.
 *
 * `kline_timestamp_end` is in seconds or milliseconds, 0 for the latest bars; `adjust_type` is read and
 * answered unadjusted.
 */
export interface KlineQuery {
  readonly code: string;
  readonly kline_type: number;
  readonly kline_timestamp_end?: number;
  readonly query_kline_num?: number;
  readonly adjust_type?: number;
}

/** A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back. */
export interface KlineQueryHttpRequest {
  readonly trace: string;
  readonly data: KlineQuery;
}

/** A code and a type of bars to be pushed. */
export interface KlineSymbol {
  readonly code: string;
  readonly kline_type: number;
}

/** The data of 28004. */
export interface KlineSymbolList {
  readonly symbol_list: readonly KlineSymbol[];
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface KlineSymbolListRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: KlineSymbolList;
}

/** Ticks arrive later than they happened, behind younger ones. */
export interface Late {
  readonly do: "late";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly by?: number | readonly [number, number];
  readonly chance?: number;
}

/** A level of a book. */
export interface LevelData {
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
}

/**
 * The price stands at a limit below, where only sellers are left: the book has no bids. Otherwise as `limit-
 * up`.
 */
export interface LimitDown {
  readonly do: "limit-down";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly percent?: string;
}

/**
 * The price stands at a limit, where only buyers are left: the book has no asks. It lies `percent` above the
 * previous close of an A-share, by default as far as its exchange lets it, and above the last price of all
 * others, by default 10.
 */
export interface LimitUp {
  readonly do: "limit-up";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly percent?: string;
}

/** A line of what is published; `type` says which. */
export type Line = TradeLine | BookLine | DeltaLine | QuoteLine | CorrectLine | CancelLine | InstrumentLine;

/** The data of 28015: all that the connection is subscribed to. */
export interface ListedData {
  readonly items: readonly Item[];
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface ListedDataResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ListedData;
}

/** Where an instrument is traded. */
export type Market = "index" | "us_stock" | "hk_stock" | "cn_stock" | "forex" | "metals" | "energy" | "cfd_index" | "crypto";

/**
 * A calendar and what it says now.
 *
 * `next_open` and `next_close` are null if there is none to come; `holidays` are the weekdays of the next
 * year without trading, as far as `known_until`. Beyond it those of `expected` are closed, which are not
 * official yet, and all others count as open. `round_the_clock` says that this server's markets keep no
 * hours.
 */
export interface MarketInfo {
  readonly calendar: string;
  readonly markets: readonly ("index" | "us_stock" | "hk_stock" | "cn_stock" | "forex" | "metals" | "energy" | "cfd_index" | "crypto")[];
  readonly instruments: number;
  readonly timezone: string;
  readonly state: "open" | "closed" | "pre-open" | "break" | "halted" | "limit-up" | "limit-down" | "delisted";
  readonly round_the_clock: boolean;
  readonly time: number;
  readonly next_open: number | null;
  readonly next_close: number | null;
  readonly holidays: readonly string[];
  readonly known_until: string;
  readonly expected: readonly string[];
}

/** The data that /v1/markets answers. */
export interface MarketList {
  readonly market_list: readonly MarketInfo[];
}

/** A successful answer over HTTP. */
export interface MarketListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: MarketList;
}

/** An entry of /api/suspension/nasdaq: several reasons, and no `haltDateTime`, as the live service. */
export interface NasdaqEntry {
  readonly symbol: string;
  readonly symbolName: string | null;
  readonly haltDate: string | null;
  readonly haltTime: string | null;
  readonly sourceExchange: string | null;
  readonly haltReason: readonly string[];
  readonly pauseThresholdPrice: string | null;
  readonly resumeDate: string | null;
  readonly resumeTime: string | null;
  readonly resumeDateTime: string | null;
  readonly publishDate: string;
}

/** The answer of /api/suspension/nasdaq. The fields of a page are there if a page was asked for. */
export interface NasdaqPage {
  readonly data: readonly NasdaqEntry[];
  readonly success: boolean;
  readonly timestamp: string;
  readonly totalCount: number;
  readonly totalPages?: number;
  readonly currentPage?: number;
  readonly currentSize?: number;
}

/** The data of a heartbeat, of 28000, 28006, 28008, 28010, 28014, 28026 and 28030. */
export type Nothing = Record<string, never>;

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface NothingRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: Nothing;
}

/** An entry of /api/suspension/nyse. */
export interface NyseEntry {
  readonly symbol: string;
  readonly symbolName: string | null;
  readonly haltReason: string | null;
  readonly haltDate: string | null;
  readonly haltTime: string | null;
  readonly haltDateTime: string | null;
  readonly resumeDate: string | null;
  readonly resumeTime: string | null;
  readonly resumeDateTime: string | null;
  readonly sourceExchange: string | null;
  readonly publishDate: string;
}

/** The answer of /api/suspension/nyse. The fields of a page are there if a page was asked for. */
export interface NysePage {
  readonly data: readonly NyseEntry[];
  readonly success: boolean;
  readonly timestamp: string;
  readonly totalCount: number;
  readonly totalPages?: number;
  readonly currentPage?: number;
  readonly currentSize?: number;
}

/** The data of 28023: all flags, as they stand. */
export interface OptionsData {
  readonly slow: Slow;
  readonly max_rate: number;
  readonly batch: number;
  readonly times: number;
  readonly encoding: "json" | "msgpack";
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface OptionsDataResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: OptionsData;
}

/** A tick is pushed behind the next one of its code and kind, whose `seq` is greater. */
export interface OutOfOrder {
  readonly do: "out-of-order";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
  readonly chance?: number;
}

/**
 * How a publisher stands with the trades or the books of one code: up to `seq` all of its lines of them are
 * taken, and at or below `durable` none is lost. `seq` is that of the last one; or the publisher's own, where
 * a kill took some of them.
 */
export interface PublishedStream {
  readonly kind: "depth" | "trade";
  readonly code: string;
  readonly seq: number;
  readonly durable: number;
}

/**
 * How a publisher stands, and who the server is: the data of 28001 on /v1/publish. `time` is the server's
 * clock in milliseconds since the epoch.
 */
export interface PublisherHello {
  readonly publisher: string;
  readonly seq: number;
  readonly durable: number;
  readonly queued: number;
  readonly limit: number;
  readonly streams: readonly PublishedStream[];
  readonly server: string;
  readonly version: string;
  readonly time: number;
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface PublisherHelloResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: PublisherHello;
}

/** `cmd_id` of what the server sends unasked. */
export const PushCommand = {
  DEPTH: 22999,
  TRADE: 22998,
  KLINE: 28998,
  CORRECTION: 28992,
  STATUS: 28997,
  REPLAY: 28996,
  SPARED: 28995,
  STATE: 28994,
  GAP: 28993,
} as const;
export type PushCommand = (typeof PushCommand)[keyof typeof PushCommand];

/**
 * A limit of requests upstream: `left` of the `requests` in so many `seconds`. `name` is that of an endpoint,
 * `http` for all of them, or `day`.
 */
export interface QuotaInfo {
  readonly name: string;
  readonly requests: number;
  readonly seconds: number;
  readonly left: number;
}

/** A book of one level. A side that is left out is empty, a volume that is left out 0. */
export interface QuoteLine {
  readonly type: "quote";
  readonly code: string;
  readonly time: number;
  readonly bid?: string | number | null;
  readonly bid_volume?: string | number | null;
  readonly ask?: string | number | null;
  readonly ask_volume?: string | number | null;
  readonly seq?: number;
}

/**
 * Whether the server serves, and how its sources and its store are. It is `starting` until its sources have
 * begun, and `draining` once it stops: it takes nothing new then, and sends its clients away. Neither a
 * source that is down nor a store that cannot be used makes the server unready: it serves what memory holds.
 * Where there are several processes, the one that answers is the one that is ready, and `workers` are all of
 * them.
 */
export interface Readiness {
  readonly ready: boolean;
  readonly status: string;
  readonly source: string;
  readonly simulated: boolean;
  readonly events: number;
  readonly recording: boolean | null;
  readonly round_the_clock: boolean;
  readonly sources: readonly SourceReadiness[];
  readonly store: StoreReadiness;
  readonly workers?: readonly WorkerReadiness[];
}

/** Refuses new connections on the upgrade with that HTTP status. */
export interface Refuse {
  readonly do: "refuse";
  readonly at?: number;
  readonly for?: number | null;
  readonly tokens?: readonly string[];
  readonly connections?: readonly number[];
  readonly family?: Family | null;
  readonly status?: number;
  readonly chance?: number;
}

/**
 * The data of 28018: which items, from when (milliseconds of the source's time) up to when, `to` itself left
 * out; 0: to the end and on into live. With `step` it is paused before its first event.
 */
export interface ReplayData {
  readonly items: readonly Item[];
  readonly from?: number;
  readonly to?: number;
  readonly speed?: number;
  readonly step?: number;
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface ReplayDataRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ReplayData;
}

/** What became of an item of 28018: `unavailable`, nothing is recorded of it. */
export interface ReplayItem {
  readonly kind: "correction" | "depth" | "kline" | "trade";
  readonly code: string;
  readonly depth_level?: number;
  readonly kline_type?: number;
  readonly state: "ok" | "over_limit" | "unauthorized" | "unavailable" | "unknown";
}

/**
 * The data of 28996: where a replay stands, at which time of the source (0: before its first event). `items`,
 * once it is `live`, go on there: see 28017. `reason` says why it was stopped, where its client did not ask
 * for that.
 */
export interface ReplayStateData {
  readonly id: number;
  readonly state: "began" | "complete" | "live" | "paused" | "stopped";
  readonly time: number;
  readonly items?: readonly ResumedItem[];
  readonly reason?: string;
}

/** What the server sends unasked. */
export interface ReplayStateDataPush {
  readonly cmd_id: number;
  readonly data: ReplayStateData;
}

/** An order book of a replay of the client's own: the data of 22999 too (an extension). */
export interface ReplayedBookData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  readonly bids: readonly LevelData[];
  readonly asks: readonly LevelData[];
  /** The number of the replay that it is of. */
  readonly replay: number;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface ReplayedBookDataPush {
  readonly cmd_id: number;
  readonly data: ReplayedBookData;
}

/** A correction of a replay of the client's own: the data of 28992 too (an extension). */
export interface ReplayedCorrectionData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  readonly action: "correct" | "cancel";
  /** Grows by one per code and kind; a text over HTTP. */
  readonly trade_seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly trade_time: number | string;
  /** An exact decimal, with the instrument's decimals. */
  readonly was_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly was_volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly was_turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly was_direction: 0 | 1 | 2;
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly trade_direction: 0 | 1 | 2;
  /** The number of the replay that it is of. */
  readonly replay: number;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface ReplayedCorrectionDataPush {
  readonly cmd_id: number;
  readonly data: ReplayedCorrectionData;
}

/**
 * The data of 28019: the number of the replay, 0 if there is none, since no item can be had; every item that
 * was named, in order; and from when to when there is something of them, 0 if there is nothing.
 */
export interface ReplayedData {
  readonly id: number;
  readonly items: readonly ReplayItem[];
  readonly begin: number;
  readonly end: number;
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface ReplayedDataResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ReplayedData;
}

/** A trade of a replay of the client's own: the data of 22998 too (an extension). */
export interface ReplayedTradeData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly trade_direction: 0 | 1 | 2;
  /** The number of the replay that it is of. */
  readonly replay: number;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface ReplayedTradeDataPush {
  readonly cmd_id: number;
  readonly data: ReplayedTradeData;
}

/** The answer to a request over WebSocket. */
export interface Response {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: Record<string, never>;
}

/** Ends the halts that there are. */
export interface Resume {
  readonly do: "resume";
  readonly at?: number;
  readonly for?: number | null;
  readonly codes?: readonly string[];
  readonly markets?: readonly Market[];
}

/** The data of 28016. */
export interface ResumeData {
  readonly items: readonly ResumeItem[];
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface ResumeDataRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ResumeData;
}

/**
 * A stream and the position of the last event that the client has of it: the `epoch` that it was told last,
 * and the `seq`, 0 if it has none.
 */
export interface ResumeItem {
  readonly kind: "correction" | "depth" | "kline" | "trade";
  readonly code: string;
  readonly depth_level?: number;
  readonly kline_type?: number;
  readonly epoch: number;
  readonly seq: number;
}

/** The data of 28017: every item that was named, in order. */
export interface ResumedData {
  readonly items: readonly ResumedItem[];
}

/** The answer to a request over WebSocket that holds data, if all is well; else it is a Response. */
export interface ResumedDataResponse {
  readonly ret: number;
  readonly msg: string;
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: ResumedData;
}

/**
 * What became of an item of 28016: `resumed`, nothing lies between what the client has and what follows;
 * `gap`, what lies between cannot be had any more. What follows begins at `first` of this `epoch`.
 */
export interface ResumedItem {
  readonly kind: "correction" | "depth" | "kline" | "trade";
  readonly code: string;
  readonly depth_level?: number;
  readonly kline_type?: number;
  readonly state: "already" | "gap" | "not_subscribed" | "ok" | "over_limit" | "pending" | "resumed" | "unauthorized" | "unknown";
  readonly epoch?: number;
  readonly from?: number;
}

/** Steps under a name. Without a `seed` the server's is used; the same seed throws the same dice. */
export interface Scenario {
  readonly step: readonly (Halt | Resume | LimitUp | LimitDown | Delist | CloseMarket | Gap | Burst | Late | Duplicate | OutOfOrder | Jump | Disconnect | Refuse | Answer | Delay | ExpireToken | Clock)[];
  readonly name?: string;
  readonly description?: string;
  readonly seed?: number | null;
}

/** The scenarios that run, and those of the library with what they do, by name. */
export interface ScenarioList {
  readonly running: readonly ScenarioRun[];
  readonly library: Readonly<Record<string, string>>;
}

/** A scenario of the library. */
export interface ScenarioName {
  readonly name: string;
}

/**
 * A scenario that runs under a number, since so many seconds. `active` are those of its steps that are at
 * work, `ahead` those to come, the next one first, all as they were written: without what is left to its
 * default, and without the tokens that they name.
 */
export interface ScenarioRun {
  readonly number: number;
  readonly name: string;
  readonly description: string;
  readonly seconds: number;
  readonly active: readonly object[];
  readonly ahead: readonly object[];
}

/**
 * Several trades as one, for a client that could not take each: the data of 22998 too (an extension).
 *
 * `seq`, `tick_time` and `price` are those of the last; `volume` and `turnover` exact sums, and
 * `trade_direction` is 0 if theirs differ. `trades` is how many they are, `first_seq` the first one's, whose
 * price is `open_price`.
 */
export interface SeveralTradesData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly trade_direction: 0 | 1 | 2;
  readonly trades: number;
  /** An exact decimal, with the instrument's decimals. */
  readonly open_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly high_price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly low_price: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly first_seq: number | string;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface SeveralTradesDataPush {
  readonly cmd_id: number;
  readonly data: SeveralTradesData;
}

/**
 * What a client is sent that takes less than comes.
 *
 * CLOSE: all of it, until it is closed for what it has not taken. CONFLATE: the newest book, the trades since
 * the last one as one, the newest of each bar that is forming. DROP: of what waits the newest part.
 */
export type Slow = "close" | "conflate" | "drop";

/**
 * How a source is, since when (milliseconds since the epoch) and what failed, empty if nothing did.
 *
 * `lag_ms` is how long the last event took from the source's time to its arrival, null before the first one
 * and where time is not real; how late a simulator's ticks come. `events` were taken, `bad` could not be
 * read, `late` came too late for their bars, `dropped` came faster than they were taken, or were not
 * simulated in time. Outages of a code are `resumed` whose trades came after all, and `gaps` the others; null
 * where there are none. `recording` is null if the source is not recorded, false if that has stopped.
 */
export interface SourceReadiness {
  readonly name: string;
  readonly simulated: boolean;
  readonly status: Status;
  readonly since: number;
  readonly reason: string;
  readonly lag_ms: number | null;
  readonly events: number;
  readonly bad: number;
  readonly late: number;
  readonly dropped: number;
  readonly resumed: number | null;
  readonly gaps: number | null;
  readonly recording: boolean | null;
}

/**
 * What a client was spared of one kind: the data of 28995.
 *
 * `dropped` is how many events it was not sent as themselves: those that were left out, books and bars in
 * whose place a newer one came, and trades that came as one. `codes` are those of the first ones, `since` is
 * from when on they are counted, in milliseconds since the epoch.
 */
export interface SparedData {
  readonly kind: "trade" | "depth" | "kline";
  readonly dropped: number;
  readonly codes: readonly string[];
  readonly since: number;
}

/** What the server sends unasked. */
export interface SparedDataPush {
  readonly cmd_id: number;
  readonly data: SparedData;
}

/** An entry of /api/suspension/sse. */
export interface SseEntry {
  readonly symbol: string;
  readonly symbolName: string | null;
  readonly haltReason: string | null;
  readonly haltDate: string | null;
  readonly haltTime: string | null;
  readonly haltPeriod: string | null;
  readonly resumeDate: string | null;
  readonly resumeTime: string | null;
  readonly publishDate: string;
}

/** The answer of /api/suspension/sse. The fields of a page are there if a page was asked for. */
export interface SsePage {
  readonly data: readonly SseEntry[];
  readonly success: boolean;
  readonly timestamp: string;
  readonly totalCount: number;
  readonly totalPages?: number;
  readonly currentPage?: number;
  readonly currentSize?: number;
}

/**
 * How a publisher stands: the data that GET answers.
 *
 * `seq` is its last one that was taken; what is at or below `durable` survives a kill of the server's
 * process. The `streams` that it has published follow, the latest first, 3 000 at the most.
 */
export interface Standing {
  readonly publisher: string;
  readonly seq: number;
  readonly durable: number;
  readonly queued: number;
  readonly limit: number;
  readonly streams: readonly PublishedStream[];
}

/** A successful answer over HTTP. */
export interface StandingAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: Standing;
}

/**
 * What an instrument does: the data of 28994. `state` is that of /v1/instruments, `time` when the server saw
 * it, in milliseconds since the epoch.
 */
export interface StateData {
  readonly code: string;
  readonly state: "open" | "closed" | "pre-open" | "break" | "halted" | "limit-up" | "limit-down" | "delisted";
  readonly time: number;
}

/** What the server sends unasked. */
export interface StateDataPush {
  readonly cmd_id: number;
  readonly data: StateData;
}

/** An entry of /static_info; what is not known is an empty string. */
export interface StaticInfo {
  readonly symbol: string;
  readonly name_cn: string;
  readonly name_en: string;
  readonly name_hk: string;
  readonly exchange: string;
  readonly board: string;
  readonly currency: string;
  readonly lot_size: string;
  readonly total_shares: string;
  readonly circulating_shares: string;
  readonly hk_shares: string;
  readonly eps: string;
  readonly eps_ttm: string;
  readonly bps: string;
  readonly dividend_yield: string;
}

/** The data that /static_info answers. */
export interface StaticInfoList {
  readonly static_info_list: readonly StaticInfo[];
}

/** A successful answer over HTTP. */
export interface StaticInfoListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: StaticInfoList;
}

/**
 * What a source has come to.
 *
 * STALE: connected, yet nothing comes although its markets are open. ENDED: all that it has was yielded.
 */
export type Status = "connecting" | "up" | "stale" | "down" | "ended";

/**
 * How a source is: the data of 28997.
 *
 * `status` is `connecting`, `up`, `stale`, `down`, or `ended` after a replay, `since` when it became so, in
 * milliseconds since the epoch, `reason` what failed, empty if nothing did; `simulated` is 1 if the source
 * makes its data up.
 */
export interface StatusData {
  readonly source: string;
  readonly status: "connecting" | "up" | "stale" | "down" | "ended";
  readonly since: number;
  readonly reason: string;
  readonly simulated: 0 | 1;
}

/** What the server sends unasked. */
export interface StatusDataPush {
  readonly cmd_id: number;
  readonly data: StatusData;
}

/** The numbers of the scenarios that were stopped. */
export interface StoppedList {
  readonly stopped: readonly number[];
}

/**
 * Whether the store can be used; since when it cannot (milliseconds since the epoch) and why, null and empty
 * while it can. `waiting_bars` are kept in memory until they can be written.
 */
export interface StoreReadiness {
  readonly up: boolean;
  readonly since: number | null;
  readonly reason: string;
  readonly waiting_bars: number;
}

/** An answer that says what went wrong. */
export interface SuspensionError {
  readonly success: boolean;
  readonly error: string;
}

/** An instrument that is asked for. */
export interface Symbol {
  readonly code: string;
}

/** The data of 22004, 28024, 28028, /trade-tick, /depth-tick and /static_info. */
export interface SymbolList {
  readonly symbol_list: readonly Symbol[];
}

/** A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back. */
export interface SymbolListHttpRequest {
  readonly trace: string;
  readonly data: SymbolList;
}

/** A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back. */
export interface SymbolListRequest {
  readonly cmd_id: number;
  readonly seq_id: number;
  readonly trace: string;
  readonly data: SymbolList;
}

/**
 * What has become of the lines of a request or message: the data of the answer.
 *
 * `lines` were read, `accepted` and `duplicates` (of a `seq` that came before) taken, `bad_lines` refused.
 * `seq` is the publisher's last one that was taken; what is at or below `durable` survives a kill of the
 * server's process. `queued` of `limit` trades and levels of books wait to be served. `message` is the number
 * of the message on its WebSocket.
 */
export interface Tally {
  readonly message?: number;
  readonly lines: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly bad_lines: number;
  readonly bad: readonly BadLine[];
  readonly seq: number;
  readonly durable: number;
  readonly queued: number;
  readonly limit: number;
}

/** A successful answer over HTTP. */
export interface TallyAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: Tally;
}

/** The data that /trade-tick and /depth-tick answer. */
export type TickList = TradeTickList | BookTickList;

/**
 * What a token has used since the start: `requests` over HTTP that passed its plan and that were `refused` by
 * it, `pushes`; and what it uses now: `connections`, `codes` that it is subscribed to, and those of them that
 * are `without` a place upstream. `token` is its name, empty while any is let in.
 */
export interface TokenUse {
  readonly token: string;
  readonly connections: number;
  readonly codes: number;
  readonly without: number;
  readonly requests: number;
  readonly refused: number;
  readonly pushes: number;
}

/** A trade: the data of 22998 and an entry of /trade-tick. */
export interface TradeData {
  readonly code: string;
  /** Grows by one per code and kind; a text over HTTP. */
  readonly seq: number | string;
  /** The source's time, in milliseconds since the epoch; a text over HTTP. */
  readonly tick_time: number | string;
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly trade_direction: 0 | 1 | 2;
  /** When it was sent, in microseconds since the epoch; with the flag `times`. */
  readonly send_time?: number;
  /** When the server received it, where that is known; as `send_time`. */
  readonly receive_time?: number;
  /** When it went into its stream, if it came just now; as `send_time`. */
  readonly publish_time?: number;
}

/** What the server sends unasked. */
export interface TradeDataPush {
  readonly cmd_id: number;
  readonly data: TradeData;
}

/** A trade. */
export interface TradeLine {
  readonly type: "trade";
  readonly code: string;
  readonly time: number;
  readonly price: string | number;
  readonly volume: string | number;
  readonly turnover?: string | number | null;
  readonly direction?: number;
  readonly seq?: number;
}

/** A trade over HTTP: an entry of /trade-tick. */
export interface TradeTick {
  readonly code: string;
  readonly seq: string;
  readonly tick_time: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly price: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly volume: string;
  /** An exact decimal, with the instrument's decimals. */
  readonly turnover: string;
  /** 0 unknown, 1 the taker bought, 2 the taker sold. */
  readonly trade_direction: 0 | 1 | 2;
}

/** The data that /trade-tick answers: a code that has not traded yet is left out. */
export interface TradeTickList {
  readonly tick_list: readonly TradeTick[];
}

/** A successful answer over HTTP. */
export interface TradeTickListAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: TradeTickList;
}

/** An account upstream, which all tokens share: `waiting` requests wait for their turn. */
export interface UpstreamInfo {
  readonly source: string;
  readonly waiting: number;
  readonly quotas: readonly QuotaInfo[];
  readonly codes: readonly CodesInfo[];
  readonly connections: readonly ConnectionsInfo[];
}

/** The data that /v1/usage answers. */
export interface Usage {
  readonly upstream_list: readonly UpstreamInfo[];
  readonly token_list: readonly TokenUse[];
}

/** A successful answer over HTTP. */
export interface UsageAnswer {
  readonly ret: number;
  readonly msg: string;
  readonly trace: string;
  readonly data: Usage;
}

/** A process of a server that has several, and whether it answered when it was last looked at. */
export interface WorkerReadiness {
  readonly name: string;
  readonly up: boolean;
}
