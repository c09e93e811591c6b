/** The token that the page calls with: in session storage, never in a URL. */

import { signal } from "@preact/signals";

const KEY = "tickwire.token";
/** What an open server is called with: it takes any text. */
const OPEN = "terminal";

/** The token that a person signed in with; null where none was asked for. */
export const signedIn = signal<string | null>(sessionStorage.getItem(KEY));
/** Why a person must sign in now; null if nobody must. */
export const signInReason = signal<string | null>(null);

/** The token of API calls. */
export function token(): string {
  return signedIn.peek() ?? OPEN;
}

export function signIn(text: string): void {
  sessionStorage.setItem(KEY, text);
  signInReason.value = null; // first: who hears of the token looks at this
  signedIn.value = text;
}

/** Goes on as before: a server that was open may have refused its token in passing. */
export function tryAgain(): void {
  signInReason.value = null;
}

export function signOut(reason: string): void {
  sessionStorage.removeItem(KEY);
  signInReason.value = reason; // first: who hears that the token has gone looks at this
  signedIn.value = null;
}
