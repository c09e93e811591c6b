/** The admin API: the scenarios of the sandbox, for this machine or an admin token. */

import { signedIn } from "../session.ts";
import { ApiError } from "./api.ts";
import type { Scenario, ScenarioList, ScenarioRun } from "./messages.ts";

/** A step of a scenario; a field that is left out has its usual value. */
export type Step = Scenario["step"][number];

/** A scenario that runs. */
export interface Running extends Omit<ScenarioRun, "active" | "ahead"> {
  /** The steps at work. */
  readonly active: readonly Step[];
  /** The steps to come. */
  readonly ahead: readonly Step[];
}

export interface Scenarios extends Omit<ScenarioList, "running"> {
  readonly running: readonly Running[];
}

const PATH = "/admin/scenario";
const ELSEWHERE = "Open the terminal on the server's own machine (127.0.0.1), or sign in with an admin token.";
/** Whether this page comes from this machine: then the server asks for no token here. */
export const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

/** What runs, and what may be started. Throws ApiError, with 401 or 403 if this person may not know. */
export async function scenarios(): Promise<Scenarios> {
  return (await ask("GET", PATH)) as Scenarios;
}

/** Starts a scenario of the library. */
export async function startScenario(name: string): Promise<Running> {
  return (await ask("POST", PATH, { name })) as Running;
}

export async function stopScenario(number: number): Promise<void> {
  await ask("DELETE", `${PATH}/${number}`);
}

export async function stopScenarios(): Promise<void> {
  await ask("DELETE", PATH);
}

/** Asks as this machine where that may be enough, then with the token that a person signed in with. */
async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
  const token = signedIn.peek();
  const ways: Record<string, string>[] = [];
  if (local) ways.push({});
  if (token !== null) ways.push({ authorization: `Bearer ${token}` });
  let refused = new ApiError(403, ELSEWHERE);
  for (const way of ways) {
    const response = await fetch(path, {
      method,
      cache: "no-store",
      headers: { ...way, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as { readonly error?: string };
    if (response.ok) return answer;
    refused = new ApiError(response.status, answer.error ?? `status ${response.status}`);
    if (response.status !== 401 && response.status !== 403) break;
  }
  throw refused;
}
