/** Times as a zone writes them: the labels of the time axis, and where its days begin. */

/** From which weight on a mark of the axis begins a day, a month, a year, as the chart library numbers them. */
const [DAY, MONTH, YEAR] = [50, 60, 70];

const LOCALE = "en-GB";
const PARTS: Intl.DateTimeFormatOptions = {
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  hourCycle: "h23",
};
const DATE: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short", year: "numeric" };
const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const HOUR = 3600;

export class Times {
  readonly #parts: Intl.DateTimeFormat;
  readonly #year: Intl.DateTimeFormat;
  readonly #month: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #clock: Intl.DateTimeFormat;
  readonly #label: Intl.DateTimeFormat;
  /** The offset of each hour that was asked for; zones change theirs on the hour. */
  readonly #offsets = new Map<number, number>();

  /** `zone` is a name of the time zone database, undefined for this machine's; `dates`: bars of a day or more. */
  constructor(zone: string | undefined, dates: boolean) {
    const format = (options: Intl.DateTimeFormatOptions) =>
      new Intl.DateTimeFormat(LOCALE, { ...options, ...(zone === undefined ? {} : { timeZone: zone }) });
    this.#parts = format(PARTS);
    this.#year = format({ year: "numeric" });
    this.#month = format({ month: "short" });
    this.#day = format({ day: "numeric" });
    this.#clock = format(CLOCK);
    this.#label = format(dates ? DATE : { ...DATE, ...CLOCK });
  }

  /** The name of the zone. */
  get zone(): string {
    return this.#label.resolvedOptions().timeZone;
  }

  /** Of a bar: its date, and its time if it is shorter than a day. */
  label(seconds: number): string {
    return this.#label.format(seconds * 1000);
  }

  /** On the axis: the largest thing that begins there. */
  mark(seconds: number, weight: number): string {
    const of = weight >= YEAR ? this.#year : weight >= MONTH ? this.#month : weight >= DAY ? this.#day : this.#clock;
    return of.format(seconds * 1000);
  }

  /** The seconds since the epoch at which a clock of UTC shows what this zone's clock shows. */
  shifted(seconds: number): number {
    const hour = Math.floor(seconds / HOUR);
    let offset = this.#offsets.get(hour);
    if (offset === undefined) {
      offset = this.#offset(hour * HOUR);
      this.#offsets.set(hour, offset);
    }
    return seconds + offset;
  }

  #offset(seconds: number): number {
    const shown = new Map(this.#parts.formatToParts(seconds * 1000).map((part) => [part.type, Number(part.value)]));
    const of = (type: Intl.DateTimeFormatPartTypes) => shown.get(type) ?? 0;
    return Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute")) / 1000 - seconds;
  }
}
