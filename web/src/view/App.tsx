/** The page: its bar, its panels, and what stands over them. */

import { failure, notice } from "../market/desk.ts";
import { signInReason } from "../session.ts";
import { type Pane, pane } from "../settings.ts";
import { Bar } from "./Bar.tsx";
import { Chart } from "./Chart.tsx";
import { useKeys } from "./keys.ts";
import { Help } from "./Help.tsx";
import { Ladder } from "./Ladder.tsx";
import { SignIn } from "./SignIn.tsx";
import { Status } from "./Status.tsx";
import { Tape } from "./Tape.tsx";
import { Watchlist } from "./Watchlist.tsx";

const PANES: readonly [Pane, string][] = [
  ["list", "Watchlist"],
  ["chart", "Chart"],
  ["book", "Book"],
];

export function App() {
  useKeys();
  if (signInReason.value !== null) return <SignIn />;
  const said = failure.value ?? notice.value;
  return (
    <div class="page" data-pane={pane.value}>
      <Bar />
      {said !== null && (
        <p class="notice" role="alert">
          {said}
          {failure.value === null && <button onClick={() => (notice.value = null)}>Dismiss</button>}
        </p>
      )}
      <Watchlist />
      <Chart />
      <div class="side">
        <Ladder />
        <Tape />
      </div>
      <nav class="panes" aria-label="Panels">
        {PANES.map(([name, label]) => (
          <button key={name} aria-pressed={pane.value === name} onClick={() => (pane.value = name)}>
            {label}
          </button>
        ))}
      </nav>
      <Status />
      <Help />
    </div>
  );
}
