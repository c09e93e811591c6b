/** The HTTP API: one function a path. Numbers stay the texts that the server sent. */

import { signInReason, signOut, signedIn, token } from "../session.ts";
import type {
  BatchKlineList,
  GapList,
  InstrumentList,
  KlineList,
  MarketList,
  Readiness,
} from "./messages.ts";

/** Families of codes: each has paths of its own. */
export type Family = "stock" | "other";

const BASE: Record<Family, string> = { stock: "/quote-stock-b-api", other: "/quote-b-api" };
const MOST_TRIES = 5;
/** Milliseconds after which a request that nobody waits for looks again whether its turn has come. */
const YIELD = 250;
/** Requests under way that somebody waits for. */
let awaited = 0;

/** What the server refused: `ret` is the protocol's code, or the HTTP status where there is none. */
export class ApiError extends Error {
  constructor(
    readonly ret: number,
    message: string,
  ) {
    super(message);
  }
}

interface Answer {
  readonly ret?: number;
  readonly msg?: string;
  readonly error_msg?: string;
  readonly error?: string;
  readonly data?: unknown;
}

/**
 * The answer of a path; waits and asks again where the plan's rate was met. Throws ApiError and TypeError.
 * What is `patient` lets all others go first, and waits as long as it takes.
 */
async function ask(path: string, init: RequestInit = {}, patient = false): Promise<unknown> {
  if (patient) return await answered(path, init, true);
  awaited++;
  try {
    return await answered(path, init, false);
  } finally {
    awaited--;
  }
}

async function answered(path: string, init: RequestInit, patient: boolean): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    while (patient && awaited > 0) await pause(YIELD);
    const used = token();
    const response = await fetch(path, {
      ...init,
      cache: "no-store",
      headers: { ...(init.body ? { "content-type": "application/json" } : {}), authorization: `Bearer ${used}` },
    });
    if (response.status === 429 && (patient || tries < MOST_TRIES)) {
      await pause(Number(response.headers.get("retry-after") ?? 1) * 1000);
      continue;
    }
    const answer = (await response.json()) as Answer;
    const ret = answer.ret ?? response.status;
    // Only the first reason is told: what is asked later has no token any more.
    if (ret === 401 && used === token() && signInReason.peek() === null) {
      signOut(signedIn.peek() === null ? "This server asks for a token." : "The server does not know this token.");
    }
    if (ret !== 200) throw new ApiError(ret, answer.msg ?? answer.error_msg ?? answer.error ?? `status ${ret}`);
    return answer.data;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function queried(data: unknown): string {
  return `query=${encodeURIComponent(JSON.stringify({ trace: "terminal", data }))}`;
}

/** All that the token may read. */
export async function instruments(): Promise<InstrumentList> {
  return (await ask("/v1/instruments")) as InstrumentList;
}

export async function markets(): Promise<MarketList> {
  return (await ask("/v1/markets")) as MarketList;
}

/** Whether the server serves, and how its sources are: for everybody, with any token or none. */
export async function readiness(): Promise<Readiness> {
  return (await (await fetch("/readyz", { cache: "no-store" })).json()) as Readiness;
}

/** The latest gaps of all sources, or of one code. */
export async function gaps(limit: number, code?: string): Promise<GapList> {
  const only = code === undefined ? "" : `&code=${encodeURIComponent(code)}`;
  return (await ask(`/v1/gaps?limit=${limit}${only}`)) as GapList;
}

/** Bars of a code, oldest first: the latest `count` up to and including `end` (seconds; 0 for the latest). For
 * `patient` see `ask`. */
export async function klines(
  family: Family,
  code: string,
  klineType: number,
  count: number,
  end = 0,
  patient = false,
): Promise<KlineList> {
  const data = {
    code,
    kline_type: klineType,
    kline_timestamp_end: end,
    query_kline_num: count,
    adjust_type: 0,
  };
  return (await ask(`${BASE[family]}/kline?${queried(data)}`, {}, patient)) as KlineList;
}

/** The latest one or two bars of many codes, up to and including `end`. */
export async function latestKlines(
  family: Family,
  codes: readonly string[],
  klineType: number,
  count: 1 | 2,
  end = 0,
): Promise<BatchKlineList> {
  const data_list = codes.map((code) => ({
    code,
    kline_type: klineType,
    kline_timestamp_end: end,
    query_kline_num: count,
    adjust_type: 0,
  }));
  const body = JSON.stringify({ trace: "terminal", data: { data_list } });
  return (await ask(`${BASE[family]}/batch-kline`, { method: "POST", body })) as BatchKlineList;
}
