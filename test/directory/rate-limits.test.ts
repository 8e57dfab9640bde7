/** How much one account may have changed of rosters: what nobody else may be made to wait for, or to store. */
import { expect, test } from "vitest";
import { accountAddress, numberedDevice } from "../../src/base/address.js";
import { concatBytes } from "../../src/base/bytes.js";
import { deviceMethods } from "../../src/directory/devices.js";
import { type GroupStore, Groups, groupMethods } from "../../src/directory/groups.js";
import { type Methods, Requests } from "../../src/directory/requests.js";
import type { RequestOutcome } from "../../src/rules/requests.js";
import type { MsgpackMap } from "../../src/wire/msgpack-value.js";
import { MsgpackWriter } from "../../src/wire/msgpack-writer.js";

const person = (n: number) => accountAddress(1, new Uint8Array(16).fill(n));
const [ann, bob] = [numberedDevice(person(1), 1), numberedDevice(person(2), 1)];
const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs };

function asker(methods: Methods) {
  const requests = new Requests(methods);
  return async (by: Uint8Array, method: string, body: MsgpackMap): Promise<RequestOutcome> => {
    const writer = new MsgpackWriter();
    writer.value(body);
    return requests.serve(by, method, writer.take());
  };
}

test("an account's devices change its roster so often, and another account's as often", async () => {
  const record = { address: person(1), version: 1, devices: [] };
  const changed = async () => ({ record, isChanged: true });
  const ask = asker(
    deviceMethods({
      store: { readAccount: () => record, addDevice: changed, removeDevice: changed },
      removalMs: () => 0,
      clock,
      limits: { rosterChangesBurst: 2, rosterChangesPerSecond: 0.5, changersCountedMax: 10 },
    }),
  );
  expect(await ask(ann, "devices.add", { device: 2 })).toHaveProperty("body");
  expect(await ask(numberedDevice(person(1), 7), "devices.remove", { device: 2 })).toHaveProperty("body");
  const refused = { code: "rateLimited", retryAfterMs: 2_000 };
  expect(await ask(ann, "devices.add", { device: 2 })).toMatchObject(refused);
  expect(await ask(ann, "devices.remove", { device: 2 })).toMatchObject(refused);
  expect(await ask(ann, "devices.list", {})).toHaveProperty("body");
  expect(await ask(bob, "devices.add", { device: 2 })).toHaveProperty("body");
  clock.nowMs += 2_000;
  expect(await ask(ann, "devices.remove", { device: 2 })).toHaveProperty("body");
});

test("what an account's changes of groups name is counted, and reading is not", async () => {
  let written = 0;
  const store: GroupStore = {
    readGroup: () => undefined,
    settledGroup: () => undefined,
    changeGroup: async () => {
      written++;
      return [];
    },
    memberships: { of: () => [], toLeave: () => [], leaving: () => [] },
  };
  const bounds = { groupAccountsBurst: 5, groupAccountsPerSecond: 1, changersCountedMax: 10 };
  const ask = asker(groupMethods(new Groups(store, () => true), clock, bounds));
  const two = { accounts: concatBytes([person(3), person(4)]) };
  expect(await ask(ann, "groups.create", two)).toHaveProperty("body");
  expect(await ask(ann, "groups.create", two)).toMatchObject({ code: "rateLimited", retryAfterMs: 1_000 });
  expect(written).toBe(1);
  expect(await ask(ann, "groups.leave", { group: person(9) })).toMatchObject({ code: "notFound" });
  expect(await ask(ann, "groups.add", { group: person(9), version: 1, ...two })).toMatchObject({
    code: "rateLimited",
  });
  expect(await ask(ann, "groups.list", {})).toHaveProperty("body");
  expect(await ask(bob, "groups.create", two)).toHaveProperty("body");
});
