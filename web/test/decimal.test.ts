import assert from "node:assert/strict";
import { test } from "node:test";

import { compare, grouped, minus, percent, places, plus, share, shortened, sign, signed } from "../src/market/decimal.ts";

test("sums and differences are exact, with the decimals of the finer number", () => {
  assert.equal(minus("0.3", "0.1"), "0.2");
  assert.equal(minus("79317.70", "79400"), "-82.30");
  assert.equal(minus("1", "1.000"), "0.000");
  assert.equal(minus("0.05", "0.10"), "-0.05");
  assert.equal(plus("12345678901234567890.12", "0.88"), "12345678901234567891.00");
});

test("numbers are compared by value", () => {
  assert.equal(compare("1.10", "1.1"), 0);
  assert.ok(compare("9", "10") < 0);
  assert.ok(compare("0.00001", "0") > 0);
});

test("percent is rounded half away from zero", () => {
  assert.equal(percent("101", "100"), "1.00");
  assert.equal(percent("100.005", "100"), "0.01");
  assert.equal(percent("99.995", "100"), "-0.01");
  assert.equal(percent("99.996", "100"), "0.00");
  assert.equal(percent("2", "3"), "-33.33");
  assert.equal(percent("1", "0"), "");
  assert.equal(percent("-30", "-40"), "25.00");
  assert.equal(percent("-37.63", "18.27"), "-305.97");
});

test("signs are written as people write them", () => {
  assert.equal(signed("1.5"), "+1.5");
  assert.equal(signed("-1.5"), "−1.5");
  assert.equal(signed("0.00"), "0.00");
  assert.equal(signed("-0.00"), "0.00");
  assert.deepEqual([sign("-2"), sign("0.0"), sign("3")], [-1, 0, 1]);
});

test("thousands stand apart, decimals do not", () => {
  assert.equal(grouped("1234567.891011"), "1\u2009234\u2009567.891011");
  assert.equal(grouped("123"), "123");
  assert.equal(grouped("1000"), "1\u2009000");
});

test("a column has the decimals that its figures say something with, two at least", () => {
  assert.equal(places(["292.520000", "292.525000"]), 3);
  assert.equal(places(["292.000000"]), 2);
  assert.equal(places(["100"]), 2);
  assert.equal(shortened("292.520000", 2), "292.52");
  assert.equal(shortened("-0.010000", 3), "-0.010");
  assert.equal(shortened("100", 2), "100");
});

test("a share of nothing is nothing", () => {
  assert.equal(share("1", "4"), 0.25);
  assert.equal(share("1", "0"), 0);
});
