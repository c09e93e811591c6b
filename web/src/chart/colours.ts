/** The colours of the theme, as the chart library takes them. */

export interface Colours {
  readonly ground: string;
  readonly line: string;
  readonly soft: string;
  readonly raised: string;
  readonly up: string;
  readonly down: string;
  readonly font: string;
}

/** As they are now: read again when the theme changes. */
export function colours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: of("panel"),
    line: of("line"),
    soft: of("soft"),
    raised: of("raised"),
    up: of("up"),
    down: of("down"),
    font: of("font"),
  };
}

/** A colour `#rrggbb` that lets `part` of itself be seen, from 0 to 1. */
export function faded(colour: string, part: number): string {
  const alpha = Math.round(part * 255).toString(16).padStart(2, "0");
  return /^#[0-9a-f]{6}$/i.test(colour) ? colour + alpha : colour;
}
