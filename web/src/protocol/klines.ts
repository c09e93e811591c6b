/** The ten types of bars (section 3 of the protocol). */

export interface KlineType {
  readonly number: number;
  /** As it stands on a button and in the URL. */
  readonly label: string;
  readonly name: string;
  /** Its length; of weeks and months, the usual one. */
  readonly seconds: number;
}

export const KLINE_TYPES: readonly KlineType[] = [
  { number: 1, label: "1m", name: "1 minute", seconds: 60 },
  { number: 2, label: "5m", name: "5 minutes", seconds: 300 },
  { number: 3, label: "15m", name: "15 minutes", seconds: 900 },
  { number: 4, label: "30m", name: "30 minutes", seconds: 1800 },
  { number: 5, label: "1h", name: "1 hour", seconds: 3600 },
  { number: 6, label: "2h", name: "2 hours", seconds: 7200 },
  { number: 7, label: "4h", name: "4 hours", seconds: 14400 },
  { number: 8, label: "1D", name: "1 day", seconds: 86400 },
  { number: 9, label: "1W", name: "1 week", seconds: 604800 },
  { number: 10, label: "1M", name: "1 month", seconds: 2592000 },
];

export const [MINUTE, FIVE_MINUTES, QUARTER, , , , , DAY] = KLINE_TYPES as [
  KlineType, KlineType, KlineType, KlineType, KlineType, KlineType, KlineType, KlineType,
];

export function klineType(label: string | null): KlineType | undefined {
  return KLINE_TYPES.find((type) => type.label === label);
}
