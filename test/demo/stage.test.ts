import { expect, test } from "vitest";
import { Stage } from "./stage.js";

test("a moment's action runs within the event that makes it true, once", async () => {
  const stage = new Stage(1);
  const receiptsSeen: number[] = [];
  const acted = stage.when(
    () => stage.receipts >= 2,
    () => receiptsSeen.push(stage.receipts),
  );
  for (let i = 0; i < 4; i++) {
    stage.receipts++;
    stage.happened();
  }
  expect(receiptsSeen).toEqual([2]);
  await acted;
});

test("a condition that holds already is not waited for", async () => {
  await new Stage(1).until(() => true);
});

test("when the play ends, every wait ends with the reason", async () => {
  const stage = new Stage(1);
  const waiting = stage.until(() => false);
  stage.end(new Error("the curtain fell"));
  await expect(waiting).rejects.toThrow("the curtain fell");
  await expect(stage.until(() => false)).rejects.toThrow("the curtain fell");
});

test("the first fault of the tally ends the play", async () => {
  const stage = new Stage(1);
  const waiting = stage.until(() => false);
  stage.tally.read("chi phone", "ana phone", "a text nobody wrote");
  stage.happened();
  await expect(waiting).rejects.toThrow("must not");
});

test("the same seed makes the same choices, another seed others", () => {
  const choices = (seed: number) => {
    const { random } = new Stage(seed);
    return Array.from({ length: 20 }, () => random.between(1, 1000));
  };
  expect(choices(5)).toEqual(choices(5));
  expect(choices(5)).not.toEqual(choices(6));
  expect(Math.min(...choices(5))).toBeGreaterThanOrEqual(1);
});

test("no two texts are equal and all carry the marker", () => {
  const stage = new Stage(1);
  const texts = [stage.newText("yes"), stage.newText("yes")];
  expect(new Set(texts).size).toBe(2);
  for (const text of texts) expect(text).toContain(stage.marker);
});
