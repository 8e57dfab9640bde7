/** What a client makes of refusals that tell it of rosters. */
import { expect, test } from "vitest";
import { KnownRosters } from "../../src/client/known-rosters.js";
import { account } from "./support.js";

test("a refusal is read by what the refused envelope was made for, whatever another has told meanwhile", async () => {
  const rosters = new KnownRosters(async () => ({ account, version: 3, devices: [1, 2] }));
  // Two envelopes are on their way; the roster changes before each of them is looked at.
  const madeFor = await rosters.of([account]);
  rosters.repair({ account, version: 4, missing: [3], surplus: [] }, madeFor);
  expect(await rosters.of([account])).toEqual([{ account, version: 4, devices: [1, 2, 3] }]);
  rosters.repair({ account, version: 6, missing: [4], surplus: [2] }, madeFor);
  expect(await rosters.of([account])).toEqual([{ account, version: 6, devices: [1, 4] }]);
  // An older refusal that comes late says nothing new.
  rosters.repair({ account, version: 5, missing: [3, 4], surplus: [] }, madeFor);
  expect(await rosters.of([account])).toEqual([{ account, version: 6, devices: [1, 4] }]);
});
