import fc from "fast-check";
import { expect, test } from "vitest";
import { JournalPlaces } from "../../src/store/journal-places.js";

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ free: fc.double({ min: 0, max: 1, noNaN: true }) }) },
);

test("a block never lies over one that is not spilled, and the file stays within twice what was unspilled", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const places = new JournalPlaces();
      let live: { number: number; start: number; end: number }[] = [];
      let most = 0;
      let number = 0;
      for (const todo of steps) {
        if ("free" in todo) {
          const last = live[Math.floor(todo.free * live.length)];
          if (last === undefined) continue;
          places.free(last.number);
          live = live.filter((block) => block.number > last.number);
          continue;
        }
        const start = places.take(++number, todo.take);
        const end = start + todo.take;
        for (const other of live) expect(end <= other.start || other.end <= start).toBe(true);
        live.push({ number, start, end });
        most = Math.max(
          most,
          live.reduce((sum, block) => sum + block.end - block.start, 0),
        );
        expect(places.count).toBe(live.length);
      }
      expect(places.fileBytes).toBeLessThanOrEqual(2 * most + 80);
    }),
    { numRuns: 2_000 },
  );
});

test("when everything is spilled the file is written from its start again", () => {
  const places = new JournalPlaces();
  expect([places.take(1, 10), places.take(2, 10), places.take(3, 10)]).toEqual([0, 10, 20]);
  places.free(3);
  expect(places.take(4, 30)).toBe(0);
});
