/** Where a server asks for a token. */

import "../style/help.css";

import { useState } from "preact/hooks";

import { begin } from "../market/desk.ts";
import { signedIn, signIn, signInReason, tryAgain } from "../session.ts";

/** What an HTTP header can carry. */
const PRINTABLE = /^[\x21-\x7e]+$/;

export function SignIn() {
  const [text, setText] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    if (PRINTABLE.test(text.trim())) signIn(text.trim());
    else if (text.trim() !== "") signInReason.value = "No token has such characters.";
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1>Tickwire</h1>
        <p role="status">{signInReason.value}</p>
        <label>
          Token
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            autofocus
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <button class="main" type="submit">
          Sign in
        </button>
        {signedIn.value === null && (
          <button
            type="button"
            onClick={() => {
              tryAgain();
              void begin();
            }}
          >
            Try again without one
          </button>
        )}
        <p class="soft">
          Whoever runs the server makes one with <code>tickwire token create</code>. It is kept in this tab until it is
          closed, and never put into a URL.
        </p>
      </form>
    </main>
  );
}
