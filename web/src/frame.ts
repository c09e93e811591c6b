/** Work that is done once a frame, however often it was asked for. */

import { batch } from "@preact/signals";

/** Milliseconds between two looks at the same price or book that are drawn: more often, nobody reads them. */
export const PACE = 100;

type Work = () => void;

const waiting = new Set<Work>();
let asked = false;

/** Runs `work` in the next frame, once, together with all else that waits; a hidden page waits until it is seen. */
export function onFrame(work: Work): void {
  waiting.add(work);
  if (!asked) {
    asked = true;
    requestAnimationFrame(run);
  }
}

function run(): void {
  asked = false;
  const works = [...waiting];
  waiting.clear();
  batch(() => {
    for (const work of works) work();
  });
}
