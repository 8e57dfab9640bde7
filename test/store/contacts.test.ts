/** Agreements: what both have given and nothing else, for as long as both accounts are who they were. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { limits } from "../../src/rules/limits.js";
import { decodeContacts, encodeContacts } from "../../src/store/contacts.js";
import { accountKey } from "../../src/store/schema.js";
import { type ContactChange, checkDirectory, type Store } from "../../src/store/store.js";
import { StoreFixture } from "../support/store-fixture.js";

const account = (n: number) => accountAddress(n, new Uint8Array(16).fill(n));
const [alice, bob, eve] = [account(1), account(2), account(3)];
const [SIGNALS, PRESENCE, ALL] = [1, 2, 3];

let fixture: StoreFixture;
let store: Store;
let changes: ContactChange[];
/** What both had, and have in the moment in which it is told. */
let told: { readonly before: number; readonly now: number }[];
const open = async (): Promise<void> => {
  changes = [];
  told = [];
  store = await fixture.open({
    onContactsChanged: (change) => {
      changes.push(change);
      told.push({ before: change.before, now: store.contacts.both(change.account, change.other) });
    },
  });
};
beforeEach(async () => {
  fixture = new StoreFixture();
  await open();
  for (const address of [alice, bob, eve]) await store.registerDevice(address, 1);
});
afterEach(() => fixture.cleanUp());

async function agree(covers = ALL): Promise<void> {
  await store.contacts.allow(alice, bob, covers);
  await store.contacts.allow(bob, alice, covers);
}

const checked = async () => {
  await store.close();
  return checkDirectory(fixture.directory);
};

describe("what two accounts have agreed to", () => {
  test("is what both have given, whoever gave first and whatever else one of them gave", async () => {
    expect(store.contacts.both(alice, bob)).toBe(0);
    await store.contacts.allow(alice, bob, ALL);
    expect([store.contacts.both(alice, bob), store.contacts.both(bob, alice)]).toEqual([0, 0]);
    await store.contacts.allow(bob, alice, PRESENCE);
    expect([store.contacts.both(alice, bob), store.contacts.both(bob, alice)]).toEqual([PRESENCE, PRESENCE]);
    await store.contacts.allow(bob, alice, SIGNALS);
    expect(store.contacts.both(alice, bob)).toBe(ALL);
    expect(store.contacts.both(alice, eve)).toBe(0);
    expect(store.contacts.list(bob)).toMatchObject([{ account: alice, covers: ALL }]);
    expect(changes.map(({ before }) => before)).toEqual([0, 0, PRESENCE]);
  });

  test("goes with what either takes back, and only that", async () => {
    await agree();
    await store.contacts.withdraw(bob, alice, SIGNALS);
    expect(store.contacts.both(alice, bob)).toBe(PRESENCE);
    await store.contacts.withdraw(alice, bob, ALL);
    expect(store.contacts.both(alice, bob)).toBe(0);
    expect([store.contacts.list(alice), store.contacts.list(bob)]).toMatchObject([
      [],
      [{ account: alice, covers: PRESENCE }],
    ]);
    await store.contacts.withdraw(eve, alice, ALL);
    expect((await checked()).contacts).toEqual({ agreements: 1, ends: 0 });
  });

  test("is on disk when it resolves, and there again after a restart", async () => {
    await agree();
    await store.contacts.withdraw(bob, alice, PRESENCE);
    await store.close();
    await open();
    expect(store.contacts.both(alice, bob)).toBe(SIGNALS);
  });

  describe("is told as the whole transaction leaves it, when both sides change in one", () => {
    const [allows, withdraws] = ["allow", "withdraw"] as const;
    test.each([
      ["both give", 0, 0, allows, allows, ALL],
      ["one gives and the other takes back", 0, ALL, allows, withdraws, 0],
      ["one takes back and the other gives", ALL, 0, withdraws, allows, 0],
      ["both take back", ALL, ALL, withdraws, withdraws, 0],
    ])("%s", async (_, alices, bobs, change, others, both) => {
      await store.contacts.allow(alice, bob, alices);
      await store.contacts.allow(bob, alice, bobs);
      // Both rows are in memory, as they are wherever signals pass.
      const before = store.contacts.both(alice, bob);
      const { flushes } = store.stats();
      told = [];
      await Promise.all([store.contacts[change](alice, bob, ALL), store.contacts[others](bob, alice, ALL)]);
      expect(store.contacts.both(alice, bob)).toBe(both);
      expect(store.stats().flushes - flushes).toBe(1);
      expect(told).toEqual([
        { before, now: both },
        { before, now: both },
      ]);
    });
  });

  test("is bounded per account, and what is there may still be changed", async () => {
    const others = Array.from({ length: limits.contactsMax }, (_, i) => {
      const other = accountAddress(9, new Uint8Array(16).fill(9));
      new DataView(other.buffer).setUint32(2, i);
      return other;
    });
    await store.close();
    await fixture.tamper((_, batch) => {
      const key = accountKey(alice);
      const agreements = others.map((other) => ({ account: other, covers: SIGNALS, version: 0 }));
      batch.put("contacts", key, encodeContacts(key, { endedAt: 0, agreements }));
    });
    await open();
    await expect(store.contacts.allow(alice, bob, ALL)).rejects.toMatchObject({ code: "tooManyContacts" });
    await store.contacts.allow(alice, others[0] as Uint8Array, PRESENCE);
    await store.contacts.withdraw(alice, others[1] as Uint8Array, ALL);
    await store.contacts.allow(alice, bob, ALL);
    expect(store.contacts.list(alice)).toHaveLength(limits.contactsMax);
    expect((await checked()).findings).toEqual([]);
  });
});

describe("a removed account", () => {
  test("has given nothing and was given nothing, whoever comes back under its address", async () => {
    await agree();
    await store.contacts.allow(eve, alice, ALL);
    changes = [];
    await store.removeAccount(alice, 1);
    expect(store.contacts.both(alice, bob)).toBe(0);
    expect(store.contacts.list(alice)).toEqual([]);
    expect(changes).toMatchObject([{ account: alice, other: bob, before: ALL }]);
    // Given while nobody is there: as to nobody.
    await store.contacts.allow(eve, alice, ALL);
    await store.createAccount(alice);
    await store.contacts.allow(alice, bob, ALL);
    await store.contacts.allow(alice, eve, ALL);
    expect([store.contacts.both(alice, bob), store.contacts.both(alice, eve)]).toEqual([0, 0]);
    // What is given anew does not bring back what was given before.
    await store.contacts.allow(bob, alice, SIGNALS);
    expect(store.contacts.both(alice, bob)).toBe(SIGNALS);
    const report = await checked();
    expect(report.findings).toEqual([]);
    expect(report.contacts).toEqual({ agreements: 4, ends: 1 });
  });

  test("agrees to nothing any more", async () => {
    await store.removeAccount(alice, 1);
    await expect(store.contacts.allow(alice, bob, ALL)).rejects.toMatchObject({ code: "notFound" });
  });

  test("takes with it what it is just agreeing to", async () => {
    await Promise.allSettled([
      store.contacts.allow(alice, bob, ALL),
      store.removeAccount(alice, 1),
      store.contacts.allow(alice, eve, ALL),
      store.contacts.allow(bob, alice, ALL),
    ]);
    expect(store.contacts.list(alice)).toEqual([]);
    await store.createAccount(alice);
    await store.contacts.allow(alice, bob, ALL);
    expect(store.contacts.both(alice, bob)).toBe(0);
    expect((await checked()).findings).toEqual([]);
  });
});

describe("on disk", () => {
  test("rows are the bytes that the drawing shows", () => {
    const key = accountKey(alice);
    const row = { endedAt: 5, agreements: [{ account: bob, covers: 3, version: 258 }] };
    const bytes = encodeContacts(key, row);
    expect(toHex(bytes).slice(8)).toBe(`050000000100000000000000${toHex(bob)}030002010000`);
    expect(decodeContacts(key, bytes)).toEqual(row);
    expect(decodeContacts(accountKey(bob), bytes)).toBeUndefined();
    expect(decodeContacts(key, bytes.subarray(0, 20))).toBeUndefined();
  });

  test("what is damaged was not agreed to, is reported, and found by a check", async () => {
    await agree();
    await store.close();
    await fixture.flipBit("contacts", { row: 0, byte: 4 });
    expect((await checkDirectory(fixture.directory)).findings).toMatchObject([
      { table: "contacts", kind: "damaged" },
    ]);
    await open();
    expect(store.contacts.both(alice, bob)).toBe(0);
    expect(fixture.reports).toMatchObject([{ table: "contacts" }]);
    await agree();
    expect(store.contacts.both(alice, bob)).toBe(ALL);
    expect((await checked()).findings).toEqual([]);
  });

  test("a check finds what nobody who is there can have given", async () => {
    await store.close();
    await fixture.tamper((_, batch) => {
      for (const [from, to, covers] of [
        [account(7), alice, 1],
        [alice, alice, 1],
        [bob, alice, 4],
      ] as const) {
        const key = accountKey(from);
        const agreements = [{ account: to, covers, version: 0 }];
        batch.put("contacts", key, encodeContacts(key, { endedAt: 0, agreements }));
      }
    });
    const { findings } = await checkDirectory(fixture.directory);
    expect(findings.map(({ detail }) => detail).sort()).toEqual([
      "an account has agreed with itself",
      "an agreement covers nothing that is known",
      "its account is not registered",
    ]);
  });
});
